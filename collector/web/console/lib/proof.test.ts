import { describe, expect, it } from 'vitest';
import { Refused } from './decode';
import { readHeader } from './proof-batch';
import { bytesOf, fromHex, hexOf, sha256 } from './proof-bytes';
import type { Bytes } from './proof-bytes';
import { BATCH_STEPS, checkBatch, checkLog } from './proof';
import type { Claim, Held, Step } from './proof';
import { EXAMPLE, JUDGED, PROOFS, WIRE } from './proof-vectors';

const [FIRST, SECOND] = EXAMPLE.envelopes.map((hex) => fromHex(hex)!) as [Bytes, Bytes];

async function claimOf(envelope: Bytes, number: number, head: string, firstSeq: number, count: number): Promise<Claim> {
  return { unit: WIRE.unit, chain: WIRE.chain_id, number, env: hexOf(await sha256(envelope)), head, key: WIRE.public_key, firstSeq, count };
}

const first = await claimOf(FIRST, 0, WIRE.batch_0.head, 0, 2);
const second = await claimOf(SECOND, 1, WIRE.batch_1.head, 2, 4);
const held: Held = { envelope: SECOND, before: FIRST, after: null };

function failed(steps: readonly Step[]): string[] {
  return steps.filter(({ state }) => state === 'fails').map(({ name, why }) => `${name} ${why}`);
}

function changed(bytes: Bytes, at: number): Bytes {
  return bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));
}

describe('a batch', () => {
  it('holds, from its form to its links', async () => {
    const steps = await checkBatch(second, held);
    expect(steps.map(({ name }) => name)).toEqual(BATCH_STEPS);
    expect(failed(steps)).toEqual([]);
    expect(steps.filter(({ state }) => state === 'open')).toEqual([{ name: 'link_after', state: 'open', why: 'none_yet' }]);
  });

  it('that begins its chain links to unit, chain and key', async () => {
    const steps = await checkBatch(first, { envelope: FIRST, before: null, after: SECOND });
    expect(steps.every(({ state }) => state === 'holds')).toBe(true);
    const strange = await checkBatch({ ...first, key: '00'.repeat(31) + '01' }, { envelope: FIRST, before: null, after: SECOND });
    expect(failed(strange)).toEqual(['key UnknownKey', 'signature BadSignature', 'link BadGenesis']);
  });

  it('with one bit changed anywhere fails', async () => {
    const names = new Set<string>();
    for (let at = 0; at < SECOND.length; at += 1) {
      const envelope = changed(SECOND, at);
      const steps = await checkBatch({ ...second, env: hexOf(await sha256(envelope)) }, { ...held, envelope }); // a centre that lies along
      expect(failed(steps), `byte ${at}`).not.toEqual([]);
      for (const one of failed(steps)) names.add(one);
    }
    expect([...names].sort()).toEqual(expect.arrayContaining(['form BadEnvelope', 'head OtherHead', 'key UnknownKey', 'signature BadSignature']));
  });

  it.each([
    ['another hash', { env: '00'.repeat(32) }, 'hash OtherHash'],
    ['another number', { number: 2 }, 'header OtherBatch'],
    ['another unit', { unit: 'uz-01a234bd' }, 'header OtherBatch'],
    ['more records', { count: 5 }, 'header OtherBatch'],
    ['another head', { head: '00'.repeat(32) }, 'head OtherHead'],
  ])('of which the centre says %s fails there', async (_what, lie, step) => {
    expect(failed(await checkBatch({ ...second, ...lie }, held))).toEqual([step]);
  });

  it('between strangers breaks its links', async () => {
    const steps = await checkBatch(second, { envelope: SECOND, before: SECOND, after: FIRST });
    expect(failed(steps)).toEqual(['link BrokenLink', 'link_after BrokenLink']);
  });

  it('without a key, or a neighbour, says what could not be reckoned', async () => {
    const steps = await checkBatch({ ...second, key: '' }, { ...held, before: null });
    expect(steps.filter(({ state }) => state === 'open').map(({ name, why }) => [name, why])).toEqual([
      ['key', 'no_key'],
      ['signature', 'no_key'],
      ['link', 'not_here'],
      ['link_after', 'none_yet'],
    ]);
  });
});

// What the header alone shows, as the wire's own judge has it; the rest lies in the records.
const STEPS: Readonly<Record<string, string>> = {
  TooBig: 'form TooBig',
  BadEnvelope: 'form BadEnvelope',
  UnknownKey: 'key UnknownKey',
  BadSignature: 'signature BadSignature',
  BadPayload: 'header BadPayload',
  NotCanonical: 'header NotCanonical',
  UnknownFormat: 'header UnknownFormat',
  OutOfRange: 'header OutOfRange',
};

describe('the judge of the wire', () => {
  it.each(JUDGED.map((one) => [one.name, one] as const))('and this one say the same of %s', async (_name, one) => {
    const envelope = fromHex(one.hex)!;
    const claim: Claim = { unit: one.unit, chain: '', number: 0, env: '', head: '', key: one.public_key, firstSeq: 0, count: 0 };
    const said = failed(await checkBatch(claim, { envelope, before: null, after: null }));
    const wanted = STEPS[one.expect];
    if (wanted !== undefined) expect(said).toContain(wanted);
    else if (one.expect === 'WrongUnit') expect(said).not.toEqual([]); // another's key, or another's name
    else expect(said.filter((step) => Object.values(STEPS).includes(step))).toEqual([]);
  });

  it('any bytes get a verdict', () => {
    const payload = fromHex(WIRE.batch_1.payload)!;
    for (let end = 0; end < payload.length; end += 1) expect(readHeader(payload.slice(0, end))).toBeInstanceOf(Refused);
    expect(readHeader(Uint8Array.from({ length: 64 }, () => 0x91))).toEqual(new Refused('BadPayload'));
  });
});

// In the order of WIRE section 13, each at its own step.
const AT: Readonly<Record<string, string>> = {
  BadProof: 'proof BadProof',
  WrongLeaf: 'leaf WrongLeaf',
  UnknownLog: 'log UnknownLog',
  BadSignature: 'log BadSignature',
  NoQuorum: 'witnesses NoQuorum',
  NotIncluded: 'path NotIncluded',
};

describe('a proof', () => {
  it.each(PROOFS.map((one) => [one.name, one] as const))('%s is judged as the unit judges it', async (name, { text, policy, expect: wanted }) => {
    const isOther = name === 'leaf-of-another-batch';
    const envelope = isOther ? changed(SECOND, SECOND.length - 1) : SECOND;
    const { steps } = await checkLog(envelope, second, text, policy);
    expect(failed(steps)[0] ?? 'Accepted').toBe(AT[wanted] ?? wanted);
  });

  it('names leaf, checkpoint and who has signed when', async () => {
    const { logged } = await checkLog(SECOND, second, EXAMPLE.tlog_proof_of_leaf_3, EXAMPLE.policy);
    expect(logged?.leafHash).toBe(EXAMPLE.leaf_hashes[3]);
    expect(logged?.root).toBe(EXAMPLE.root);
    expect([logged?.index, logged?.size, logged?.isQuorum]).toEqual(['3', '5', true]);
    expect(logged?.cosigners.map(({ name, state }) => [name, state])).toEqual([
      ['w1', 'signed'],
      ['w2', 'signed'],
      ['w3', 'absent'],
    ]);
    expect(logged?.cosigners[0]?.atMs).toBeGreaterThan(1_795_330_000_000);
  });

  it('with a wrong cosignature of a known witness is no proof, whoever else has signed', async () => {
    const bad = EXAMPLE.tlog_proof_of_leaf_3.replace('LwRfUAAAAABrAo/Yps', 'LwRfUAAAAABrAo/Zps');
    const { steps, logged } = await checkLog(SECOND, second, bad, EXAMPLE.policy);
    expect(failed(steps)).toEqual(['witnesses BadSignature']);
    expect(logged?.cosigners[0]?.state).toBe('wrong');
  });

  it('without a policy says whose it is not known to be', async () => {
    const { steps } = await checkLog(SECOND, second, EXAMPLE.tlog_proof_of_leaf_3, '');
    expect(steps.map(({ name, state }) => `${name} ${state}`)).toEqual(['proof holds', 'leaf holds', 'log open', 'witnesses open', 'path holds']);
  });

  it('with a policy that cannot be read names its line', async () => {
    const { steps } = await checkLog(SECOND, second, EXAMPLE.tlog_proof_of_leaf_3, 'quorum none\nnonsense');
    expect(failed(steps)).toEqual(['log BadPolicy 2']);
  });

  it('that is not there leaves all of it open', async () => {
    const { steps, logged } = await checkLog(SECOND, second, '', EXAMPLE.policy);
    expect(steps.every(({ state, why }) => state === 'open' && why === 'no_proof')).toBe(true);
    expect(logged).toBeNull();
  });

  it('of one character changed anywhere does not hold', async () => {
    const text = EXAMPLE.tlog_proof_of_leaf_3;
    for (let at = 0; at < text.length; at += 7) {
      const bad = text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1);
      const { steps } = await checkLog(SECOND, second, bad, EXAMPLE.policy);
      expect(failed(steps), `at ${at}: ${bytesOf(text)[at]}`).not.toEqual([]);
    }
  });
});
