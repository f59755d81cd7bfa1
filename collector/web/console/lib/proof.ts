/**
 * Check here: what the centre says of a batch, reckoned again in the browser, step by step (CONSOLE section 2, EVIDENCE sections 4, 5 and 10).
 * Law: a step holds only if it was reckoned from bytes; what could not be reckoned is open, and says why. Nothing is fetched.
 */
import { Refused } from './decode';
import { firstLink, headOf, isSealedBy, kidOf, openEnvelope, readHeader } from './proof-batch';
import { bytesOf, fromHex, hexOf, isSame, sha256 } from './proof-bytes';
import type { Bytes } from './proof-bytes';
import { cosignedAt, isQuorum, isSignedByLog, leafHash, readPolicy, readProof, rootOf, signaturesOf } from './proof-log';
import type { LogProof, Policy } from './proof-log';

export const BATCH_STEPS = ['form', 'hash', 'key', 'signature', 'header', 'head', 'link', 'link_after'] as const;
export const LOG_STEPS = ['proof', 'leaf', 'log', 'witnesses', 'path'] as const;
export type StepName = (typeof BATCH_STEPS)[number] | (typeof LOG_STEPS)[number];

/** `why` of an open step: what was missing. */
export const OPEN = ['before', 'no_key', 'not_here', 'none_yet', 'no_proof', 'no_policy'] as const;

export interface Step {
  readonly name: StepName;
  readonly state: 'holds' | 'fails' | 'open';
  /** Of a failed one: the name of the fault; of an open one: one of OPEN. */
  readonly why: string;
}

/** What the centre says of the batch. */
export interface Claim {
  readonly unit: string;
  readonly chain: string;
  readonly number: number;
  readonly env: string;
  readonly head: string;
  /** The unit's public key as the centre has enrolled it, in hex; '': it has none. */
  readonly key: string;
  readonly firstSeq: number;
  readonly count: number;
}

export interface Held {
  readonly envelope: Bytes;
  /** The envelopes beside it; null: the centre has none. */
  readonly before: Bytes | null;
  readonly after: Bytes | null;
}

/** The steps over the bytes alone. After the form has failed nothing else can be said. */
export async function checkBatch(claim: Claim, held: Held): Promise<readonly Step[]> {
  const steps: Step[] = [];
  const say = (name: StepName, isSo: boolean, why: string): void => void steps.push({ name, state: isSo ? 'holds' : 'fails', why: isSo ? '' : why });
  const open = (name: StepName, why: (typeof OPEN)[number]): void => void steps.push({ name, state: 'open', why });
  const opened = openEnvelope(held.envelope);
  say('form', !(opened instanceof Refused), opened instanceof Refused ? opened.reason : '');
  say('hash', hexOf(await sha256(held.envelope)) === claim.env, 'OtherHash');
  if (opened instanceof Refused) {
    for (const name of BATCH_STEPS.slice(2)) open(name, 'before');
    return steps;
  }
  const key = fromHex(claim.key);
  if (key === null || key.length === 0) {
    open('key', 'no_key');
    open('signature', 'no_key');
  } else {
    say('key', isSame(await kidOf(key), opened.kid), 'UnknownKey');
    say('signature', await isSealedBy(key, opened), 'BadSignature');
  }
  const header = readHeader(opened.payload);
  if (header instanceof Refused) {
    say('header', false, header.reason);
    for (const name of BATCH_STEPS.slice(5)) open(name, 'before');
    return steps;
  }
  say('header', header.unit === claim.unit && hexOf(header.chain) === claim.chain && header.number === claim.number && header.firstSeq === claim.firstSeq && header.count === claim.count, 'OtherBatch');
  const head = await headOf(opened.payload);
  say('head', hexOf(head) === claim.head, 'OtherHead');
  if (header.number === 0) {
    if (key === null || key.length === 0) open('link', 'no_key');
    else say('link', isSame(header.prev, await firstLink(header.unit, header.chain, key)), 'BadGenesis');
  } else if (held.before === null) open('link', 'not_here');
  else say('link', await isHeadOf(held.before, header.prev), 'BrokenLink');
  if (held.after === null) open('link_after', 'none_yet');
  else say('link_after', namesHead(held.after, head), 'BrokenLink');
  return steps;
}

export interface Cosigner {
  readonly name: string;
  readonly atMs: number | null;
  readonly state: 'signed' | 'wrong' | 'absent';
}

/** What the proof says, for the eye; the steps say what of it holds. */
export interface Logged {
  readonly leaf: string;
  readonly leafHash: string;
  readonly index: string;
  readonly origin: string;
  readonly size: string;
  readonly root: string;
  readonly cosigners: readonly Cosigner[];
  readonly isQuorum: boolean;
}

export interface LogCheck {
  readonly steps: readonly Step[];
  readonly logged: Logged | null;
}

/** The steps over a proof and a policy that the reader has brought, against the envelope of the batch. */
export async function checkLog(envelope: Bytes, claim: Claim, proofText: string, policyText: string): Promise<LogCheck> {
  if (proofText === '') return { steps: LOG_STEPS.map((name) => ({ name, state: 'open', why: 'no_proof' })), logged: null };
  const proof = readProof(proofText);
  if (proof === null) return { steps: LOG_STEPS.map((name, i) => (i === 0 ? { name, state: 'fails', why: 'BadProof' } : { name, state: 'open', why: 'before' })), logged: null };
  const steps: Step[] = [{ name: 'proof', state: 'holds', why: '' }];
  const say = (name: StepName, why: string): void => void steps.push({ name, state: why === '' ? 'holds' : 'fails', why });
  say('leaf', isLeafOf(proof, claim, envelope, hexOf(await sha256(envelope))) ? '' : 'WrongLeaf');
  const policy = policyText === '' ? null : await readPolicy(policyText);
  let cosigners: readonly Cosigner[] = [];
  let isEnough = false;
  if (policy === null) for (const name of ['log', 'witnesses'] as const) steps.push({ name, state: 'open', why: 'no_policy' });
  else if (typeof policy === 'number') {
    say('log', `BadPolicy ${policy}`);
    steps.push({ name: 'witnesses', state: 'open', why: 'before' });
  } else {
    say('log', await logFault(proof, policy));
    cosigners = await cosignersOf(proof, policy);
    isEnough = isQuorum(policy, new Set(cosigners.filter(({ state }) => state === 'signed').map(({ name }) => name)));
    say('witnesses', cosigners.some(({ state }) => state === 'wrong') ? 'BadSignature' : isEnough ? '' : 'NoQuorum');
  }
  const hash = await leafHash(bytesOf(proof.leafText));
  const root = await rootOf(proof.index, proof.checkpoint.size, hash, proof.path);
  say('path', root !== null && isSame(root, proof.checkpoint.root) ? '' : 'NotIncluded');
  const { origin, size } = proof.checkpoint;
  const logged = { leaf: proof.leafText, leafHash: hexOf(hash), index: String(proof.index), origin, size: String(size), root: hexOf(proof.checkpoint.root), cosigners, isQuorum: isEnough };
  return { steps, logged };
}

async function isHeadOf(envelope: Bytes, head: Bytes): Promise<boolean> {
  const opened = openEnvelope(envelope);
  return !(opened instanceof Refused) && isSame(await headOf(opened.payload), head);
}

function namesHead(envelope: Bytes, head: Bytes): boolean {
  const opened = openEnvelope(envelope);
  const header = opened instanceof Refused ? opened : readHeader(opened.payload);
  return !(header instanceof Refused) && isSame(header.prev, head);
}

function isLeafOf({ leaf }: LogProof, claim: Claim, envelope: Bytes, env: string): boolean {
  const { t, v, unit, chain, no, first, count, len, kid } = leaf;
  const opened = openEnvelope(envelope);
  if (opened instanceof Refused || kid !== hexOf(opened.kid)) return false;
  return t === 'batch' && v === 1 && unit === claim.unit && chain === claim.chain && no === claim.number && first === claim.firstSeq && count === claim.count && leaf['env'] === env && len === envelope.length;
}

async function logFault({ checkpoint }: LogProof, { logs }: Policy): Promise<string> {
  const known = logs.filter(({ name }) => name === checkpoint.origin);
  if (known.length === 0) return 'UnknownLog';
  let isFound = false;
  for (const key of known)
    for (const signature of signaturesOf(checkpoint, key)) {
      if (!(await isSignedByLog(checkpoint, key, signature))) return 'BadSignature';
      isFound = true;
    }
  return isFound ? '' : 'BadSignature';
}

async function cosignersOf({ checkpoint }: LogProof, { witnesses }: Policy): Promise<readonly Cosigner[]> {
  const found: Cosigner[] = [];
  for (const [name, key] of witnesses) {
    const times = await Promise.all(signaturesOf(checkpoint, key).map((signature) => cosignedAt(checkpoint, key, signature)));
    const isWrong = times.includes(null);
    const seconds = isWrong ? null : (times[0] ?? null);
    found.push({ name, atMs: seconds === null ? null : seconds * 1_000, state: isWrong ? 'wrong' : seconds === null ? 'absent' : 'signed' });
  }
  return found;
}
