import { describe, expect, it } from 'vitest';
import { bytesOf, fromBase64, hexOf } from './proof-bytes';
import { isQuorum, leafHash, readKey, readLeaf, readNote, readPolicy, readProof, rootOf } from './proof-log';
import { EXAMPLE, INCLUSION } from './proof-vectors';

const WITNESS = 'w1 witness.customs.example/w1+2f045f50+BOV67fGGyHfVooN+x7Z4aGwAL1O0V+K6olkn/SNrIcVc';

describe('a leaf', () => {
  it.each(EXAMPLE.leaves.map((leaf, i) => [leaf, EXAMPLE.leaf_hashes[i]]))('is read in its one spelling, and hashed as it is written: %s', async (leaf, hash) => {
    expect(readLeaf(leaf!)).toEqual(JSON.parse(leaf!));
    expect(hexOf(await leafHash(bytesOf(leaf!)))).toBe(hash);
  });

  it.each([
    ['a space', '{"t":"batch", "v":1}'],
    ['keys that fall', '{"v":1,"t":"batch"}'],
    ['a key twice', '{"t":"batch","t":"batch"}'],
    ['a float', '{"v":1.0}'],
    ['an exponent', '{"v":1e3}'],
    ['minus nought', '{"v":-0}'],
    ['an integer that no double holds', '{"v":9007199254740992}'],
    ['a truth value', '{"v":true}'],
    ['nothing', '{"v":null}'],
    ['an object inside', '{"v":{"a":1}}'],
    ['a list in a list', '{"v":[[1]]}'],
    ['an escape that need not be', '{"t":"\\u0041"}'],
    ['a capital in a key', '{"T":"batch"}'],
    ['a list', '[1]'],
    ['half of it', '{"t":"bat'],
    ['more than 4,096 bytes', `{"t":"${'x'.repeat(4_096)}"}`],
  ])('with %s is none', (_what, text) => {
    expect(readLeaf(text)).toBeNull();
  });
});

describe('a path', () => {
  it('is judged as by others, all 49 probes', async () => {
    expect(INCLUSION).toHaveLength(49);
    for (const probe of INCLUSION) {
      const path = (probe.proof ?? []).map((hash) => fromBase64(hash)!);
      const root = await rootOf(BigInt(probe.leafIdx), BigInt(probe.treeSize), fromBase64(probe.leafHash)!, path);
      const isSo = root !== null && hexOf(root) === hexOf(fromBase64(probe.root)!);
      expect(isSo, `${probe.path}: ${probe.desc}`).toBe(!probe.wantErr);
    }
  });
});

describe('a note', () => {
  it.each([
    ['without its last newline', EXAMPLE.checkpoint.slice(0, -1)],
    ['without signatures', EXAMPLE.checkpoint.split('\n\n')[0]! + '\n'],
    ['with another dash', EXAMPLE.checkpoint.replace('—', '-')],
    ['with a control', EXAMPLE.checkpoint.replace('test', 'te\u0007st')],
    ['with another padding', EXAMPLE.checkpoint.replace('zEww=', 'zEwx=')],
    ['with 65 signatures', EXAMPLE.checkpoint + EXAMPLE.checkpoint.split('\n\n')[1]!.split('\n')[0]!.concat('\n').repeat(62)],
  ])('%s is none', (_what, text) => {
    expect(readNote(text)).toBeNull();
  });
});

describe('a key', () => {
  const text = WITNESS.slice(3);

  it('is read whole or not at all', async () => {
    expect((await readKey(text, 4))?.name).toBe('witness.customs.example/w1');
    expect(await readKey(text, 1)).toBeNull();
    for (let end = 0; end < text.length; end += 1) expect(await readKey(text.slice(0, end), 4)).toBeNull();
    for (let begin = 1; begin < text.length; begin += 1) expect(await readKey(text.slice(begin), 4)).toBeNull();
  });
});

describe('a policy', () => {
  it('counts witnesses and groups of groups', async () => {
    const policy = await readPolicy(EXAMPLE.policy.replace('quorum quorum-2', 'group both all quorum-2 w3\nquorum both'));
    expect(typeof policy).toBe('object');
    if (typeof policy === 'number') return;
    expect(isQuorum(policy, new Set(['w1', 'w2']))).toBe(false);
    expect(isQuorum(policy, new Set(['w1', 'w3']))).toBe(true);
    expect(isQuorum(policy, new Set(['w3']))).toBe(false);
  });

  it('may ask for nobody, and says so by a word of its own', async () => {
    const policy = await readPolicy('# a site without witnesses\nquorum none\n');
    expect(typeof policy === 'object' && isQuorum(policy, new Set())).toBe(true);
  });

  it.each([
    ['no quorum', 'log plomba.example/log/test+b359bad7+ARe8q4jMHyYb2ZIMClg5SKMtUoArNViTJaC4Mv33ToYu\n', 0],
    ['a quorum of strangers', 'quorum w1\n', 1],
    ['a witness twice', `witness ${WITNESS}\nwitness x${WITNESS}\nquorum w1`, 2],
    ['more than there are', `witness ${WITNESS}\ngroup g 2 w1\nquorum g`, 2],
    ['one counted twice', `witness ${WITNESS}\ngroup g 2 w1 w1\nquorum g`, 2],
    ['none', `witness ${WITNESS}\ngroup g 0 w1\nquorum g`, 2],
    ['a word of its own', 'quorum none\nlaw 1', 2],
    ['a log key as a witness', 'witness w1 plomba.example/log/test+b359bad7+ARe8q4jMHyYb2ZIMClg5SKMtUoArNViTJaC4Mv33ToYu', 1],
  ])('with %s is refused by its line', async (_what, text, line) => {
    expect(await readPolicy(text)).toBe(line);
  });
});

describe('a proof', () => {
  const text = EXAMPLE.tlog_proof_of_leaf_3;

  it('is read whole', () => {
    const proof = readProof(text);
    expect(proof?.leaf['no']).toBe(1);
    expect([proof?.index, proof?.path.length, proof?.checkpoint.size]).toEqual([3n, 3, 5n]);
  });

  it.each([
    ['another version', text.replace('@v1', '@v2')],
    ['no leaf', text.replace(/extra .*\n/, '')],
    ['an index with a nought before it', text.replace('index 3', 'index 03')],
    ['a hash that is too short', text.replace(/(index 3\n).{4}/, '$1')],
    ['no checkpoint', text.split('\n\n')[0]!],
    ['64 hashes', text.replace(/(index 3\n)(.*\n)/, (_all, index: string, hash: string) => index + hash.repeat(62))],
  ])('with %s is none', (_what, bad) => {
    expect(readProof(bad)).toBeNull();
  });
});
