import type { KeyObject } from 'node:crypto';
import { BINDING_ALGORITHMS, type BindingAlgorithm, type DeviceKey } from '../model/device-binding.js';
import { publicJwkOf } from '../model/public-jwk.js';
import { isSignedBy, readProof, type UnverifiedProof } from '../model/signed-proof.js';

/** No proof is longer: one by an RSA key of 4096 bits has about 2,100 characters. */
const MAX_PROOF_LENGTH = 4096;
/** No challenge of ours is longer. */
const MAX_CHALLENGE_LENGTH = 64;

/** A proof whose signature holds, with the challenge that it answers. */
export interface DeviceProof {
  readonly challenge: string;
}

/** Verifies the proof of a registration: signed by the key that it carries. Null for anything else; never throws. */
export function readRegistration(token: string): (DeviceProof & { readonly key: DeviceKey }) | null {
  const proof = readDeviceProof(token);
  if (!proof) return null;
  const jwk = publicJwkOf(proof.header['jwk']);
  if (!jwk?.algorithms.includes(proof.algorithm) || !isSignedBy(proof, jwk.key, proof.algorithm)) return null;
  const { thumbprint } = jwk;
  const publicKey = jwk.key.export({ format: 'der', type: 'spki' }).toString('base64url');
  return { challenge: proof.challenge, key: { algorithm: proof.algorithm, thumbprint, publicKey } };
}

/** Verifies the proof of a renewal by the key of the session. Null for anything else; never throws. */
export function readRenewal(token: string, key: KeyObject, { algorithm }: DeviceKey): DeviceProof | null {
  const proof = readDeviceProof(token);
  // A key that comes with the proof proves nothing here.
  if (!proof || proof.algorithm !== algorithm || Object.hasOwn(proof.header, 'jwk')) return null;
  return isSignedBy(proof, key, algorithm) ? { challenge: proof.challenge } : null;
}

/** The form of a proof (DBSC, "DBSC Proof JWT Syntax"). `aud`, which some browsers add, is not ours to rely on behind proxies. */
function readDeviceProof(token: string): (UnverifiedProof & { challenge: string; algorithm: BindingAlgorithm }) | null {
  const proof = readProof(token, MAX_PROOF_LENGTH);
  if (!proof) return null;
  const { alg, typ } = proof.header;
  const { jti, aud, authorization } = proof.payload;
  const algorithm = BINDING_ALGORITHMS.find((offered) => offered === alg);
  if (typ !== 'dbsc+jwt' || algorithm === undefined) return null;
  if (typeof jti !== 'string' || jti.length > MAX_CHALLENGE_LENGTH) return null;
  // We ask for no authorization, so there is none to repeat.
  if ((aud !== undefined && typeof aud !== 'string') || authorization !== undefined) return null;
  return { ...proof, challenge: jti, algorithm };
}
