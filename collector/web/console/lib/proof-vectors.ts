/** The vectors of tests/vectors, for tests alone. Where they are not (an sdist) there are none, and the tests fail. */

const FILES = import.meta.glob(['../../../../tests/vectors/wire/{example.json,batch.jsonl}', '../../../../tests/vectors/log/*.{json,jsonl}'], { query: '?raw', import: 'default', eager: true });

function text(name: string): string {
  const path = Object.keys(FILES).find((one) => one.endsWith(`/${name}`));
  const found = path === undefined ? undefined : FILES[path];
  if (typeof found !== 'string') throw new Error(`tests/vectors has no ${name}`);
  return found;
}

function lines<T>(name: string): T[] {
  return text(name).split('\n').filter(Boolean).map((line) => JSON.parse(line.replace(/("(?:leafIdx|treeSize)":)(\d+)/g, '$1"$2"')) as T);
}

interface Example {
  readonly leaves: readonly string[];
  readonly leaf_hashes: readonly string[];
  readonly root: string;
  readonly policy: string;
  readonly checkpoint: string;
  readonly tlog_proof_of_leaf_3: string;
  readonly envelopes: readonly string[];
}

interface Wire {
  readonly unit: string;
  readonly public_key: string;
  readonly chain_id: string;
  readonly batch_0: { readonly head: string };
  readonly batch_1: { readonly head: string; readonly payload: string };
}

interface Judged {
  readonly name: string;
  readonly unit: string;
  readonly public_key: string;
  readonly hex: string;
  readonly expect: string;
}

interface Proof {
  readonly name: string;
  readonly text: string;
  readonly policy: string;
  readonly expect: string;
}

interface Probe {
  readonly path: string;
  readonly desc: string;
  /** Beyond what a double holds: kept as text. */
  readonly leafIdx: string;
  readonly treeSize: string;
  readonly root: string;
  readonly leafHash: string;
  readonly proof: readonly string[] | null;
  readonly wantErr: boolean;
}

export const EXAMPLE = JSON.parse(text('plomba_example.json')) as Example;
export const WIRE = JSON.parse(text('example.json')) as Wire;
export const JUDGED = lines<Judged>('batch.jsonl');
export const PROOFS = lines<Proof>('proof.jsonl');
export const INCLUSION = lines<Probe>('inclusion.jsonl');
