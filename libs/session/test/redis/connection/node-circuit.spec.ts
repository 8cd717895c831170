import { NodeCircuit } from '../../../src/redis/connection/node-circuit.js';

describe('NodeCircuit', () => {
  let said: (string | number)[];
  let circuit: NodeCircuit;

  beforeEach(() => {
    said = [];
    circuit = new NodeCircuit(
      () => said.push('open'),
      (outage) => said.push(outage),
    );
  });

  it('opens once a request waited in vain, and says so once', () => {
    circuit.answered(1_000);
    circuit.gaveUp(1_001);
    circuit.gaveUp(1_002);
    expect(circuit.isOpen).toBe(true);
    expect(said).toEqual(['open']);
  });

  it('stays closed where the server answered another request meanwhile: one slow command is no outage', () => {
    circuit.answered(2_000);
    circuit.gaveUp(1_500);
    circuit.gaveUp(2_000);
    expect(circuit.isOpen).toBe(false);
    expect(circuit.admits(2_001)).toBe(true);
    expect(said).toEqual([]);
  });

  it('while open lets one request through every 250 ms, and the next at once over a new connection', () => {
    const before = performance.now();
    circuit.gaveUp(0);
    expect(circuit.admits(before + 200)).toBe(false);
    // Long after, as the process may have been paused on the way here.
    const later = before + 60_000;
    expect([0, 100, 251, 260].map((ms) => circuit.admits(later + ms))).toEqual([true, false, true, false]);
    circuit.renewed();
    expect([270, 271].map((ms) => circuit.admits(later + ms))).toEqual([true, false]);
    expect(circuit.isOpen).toBe(true);
  });

  it('closes upon an answer and tells how long the outage was', () => {
    circuit.gaveUp(0);
    circuit.answered(performance.now() + 5_000);
    expect(circuit.isOpen).toBe(false);
    expect([1, 2, 3].map((ms) => circuit.admits(ms))).toEqual([true, true, true]);
    expect(said).toEqual(['open', expect.any(Number)]);
    expect(said[1]).toBeGreaterThanOrEqual(5_000);
    expect(said[1]).toBeLessThan(60_000);
  });
});
