import { jest } from '@jest/globals';
import { EchoFilter } from '../../../src/redis/events/echo-filter.js';

describe('EchoFilter', () => {
  let told: string[];
  let own: EchoFilter;

  beforeEach(() => {
    jest.useFakeTimers();
    told = [];
    own = new EchoFilter((message) => told.push(message));
  });
  afterEach(() => {
    own.flush();
    jest.useRealTimers();
  });

  it('tells in the order of the channel, where the channel brings them', () => {
    own.answered(['a', 'b']);
    own.answered(['c']);
    for (const message of ['c', 'a', 'b']) own.heard(message);
    jest.advanceTimersByTime(2_000);
    expect(told).toEqual(['c', 'a', 'b']);
  });

  it('tells what the channel does not bring, half a second later', () => {
    own.answered(['a', 'b']);
    own.heard('b');
    jest.advanceTimersByTime(499);
    expect(told).toEqual(['b']);
    jest.advanceTimersByTime(1);
    expect(told).toEqual(['b', 'a']);
  });

  it('tells once what the channel brings too late, or before the answer is there', () => {
    own.heard('early');
    own.answered(['early', 'late']);
    jest.advanceTimersByTime(600);
    own.heard('late');
    jest.advanceTimersByTime(600);
    expect(told).toEqual(['early', 'late']);
  });

  it('tells what was announced although no answer came', () => {
    own.heard('unanswered');
    jest.advanceTimersByTime(600);
    expect(told).toEqual(['unanswered']);
  });

  it('tells equal announcements as often as they were made', () => {
    own.answered(['same', 'same']);
    own.heard('same');
    own.answered(['same']);
    own.heard('same');
    jest.advanceTimersByTime(600);
    expect(told).toEqual(['same', 'same', 'same']);
    own.heard('same');
    expect(told).toHaveLength(3);
    own.heard('same');
    expect(told).toHaveLength(4);
  });

  it('goes on with what was announced later', () => {
    own.answered(['a']);
    jest.advanceTimersByTime(300);
    own.answered(['b']);
    jest.advanceTimersByTime(250);
    expect(told).toEqual(['a']);
    jest.advanceTimersByTime(250);
    expect(told).toEqual(['a', 'b']);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('tells at once at the end, and leaves no timer', () => {
    own.answered(['a', 'b']);
    own.flush();
    own.heard('b');
    expect(told).toEqual(['a', 'b']);
    expect(jest.getTimerCount()).toBe(0);
  });
});
