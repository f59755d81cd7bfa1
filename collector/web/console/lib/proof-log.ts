/**
 * What the public log and its witnesses say of a leaf: RFC 6962 paths, signed notes, cosignatures, policies, proofs (C2SP; EVIDENCE sections 5, 7).
 * Law: text is held against keys that the reader brings; nothing is fetched, and what has two spellings is refused.
 */
import { isFields } from './decode';
import { HASH_BYTES, bytesOf, fromBase64, fromHex, isSame, isSigned, joined, sha256, textFrom } from './proof-bytes';
import type { Bytes } from './proof-bytes';

const LEAF_BYTES_MAX = 4_096;
const NOTE_BYTES_MAX = 16_384;
const SIGNATURES_MAX = 64;
const PROOF_BYTES_MAX = 8_192;
const PATH_MAX = 63;
const POLICY_BYTES_MAX = 65_536;
const KEYS_MAX = 32;
const GROUPS_MAX = 32;
const LOG = 0x01;
const COSIGNATURE = 0x04;

export type Leaf = Readonly<Record<string, unknown>>;

export interface Signature {
  readonly name: string;
  readonly id: Bytes;
  readonly data: Bytes;
}

export interface Note {
  readonly body: string;
  readonly signatures: readonly Signature[];
}

export interface Checkpoint extends Note {
  readonly origin: string;
  readonly size: bigint;
  readonly root: Bytes;
}

export interface LogProof {
  readonly leafText: string;
  readonly leaf: Leaf;
  readonly index: bigint;
  readonly path: readonly Bytes[];
  readonly checkpoint: Checkpoint;
}

export interface Key {
  readonly name: string;
  readonly id: Bytes;
  readonly publicKey: Bytes;
}

interface Group {
  readonly least: number;
  readonly members: readonly string[];
}

export interface Policy {
  readonly logs: readonly Key[];
  readonly witnesses: ReadonlyMap<string, Key>;
  readonly groups: ReadonlyMap<string, Group>;
  /** '': none is asked for. */
  readonly quorum: string;
}

/** A leaf in its one spelling, or null. */
export function readLeaf(text: string): Leaf | null {
  if (bytesOf(text).length > LEAF_BYTES_MAX) return null;
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    return null;
  }
  return isFields(found) && spelt(found) === text ? found : null;
}

/** As `wire/leaf` writes it; null: a value that no leaf bears. */
function spelt(leaf: Leaf): string | null {
  const keys = Object.keys(leaf).sort();
  const parts = keys.map((key) => {
    const value = valueSpelt(leaf[key], true);
    return /^[a-z_]+$/.test(key) && value !== null ? `"${key}":${value}` : null;
  });
  return parts.includes(null) ? null : `{${parts.join(',')}}`;
}

function valueSpelt(value: unknown, mayBeList: boolean): string | null {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? String(value) : null;
  if (typeof value === 'string') {
    return `"${value.replace(/["\\]/g, '\\$&').replace(/[\u0000-\u001f]/g, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`)}"`;
  }
  if (!Array.isArray(value) || !mayBeList) return null;
  const parts = value.map((one) => valueSpelt(one, false));
  return parts.includes(null) ? null : `[${parts.join(',')}]`;
}

export function leafHash(leaf: Bytes): Promise<Bytes> {
  return sha256(joined(Uint8Array.of(0), leaf));
}

function nodeHash(left: Bytes, right: Bytes): Promise<Bytes> {
  return sha256(joined(Uint8Array.of(1), left, right));
}

/** The root to which the path leads (RFC 9162, 2.1.3.2); null: the path is too long or too short. */
export async function rootOf(index: bigint, size: bigint, leaf: Bytes, path: readonly Bytes[]): Promise<Bytes | null> {
  if (index < 0n || index >= size || path.length > PATH_MAX || leaf.length !== HASH_BYTES) return null;
  let [at, last, hash] = [index, size - 1n, leaf];
  for (const other of path) {
    if (last === 0n) return null;
    if ((at & 1n) === 1n || at === last) {
      hash = await nodeHash(other, hash);
      while ((at & 1n) === 0n && at !== 0n) [at, last] = [at >> 1n, last >> 1n];
    } else hash = await nodeHash(hash, other);
    [at, last] = [at >> 1n, last >> 1n];
  }
  return last === 0n ? hash : null;
}

/** A signed note, or null. */
export function readNote(text: string): Note | null {
  if (bytesOf(text).length > NOTE_BYTES_MAX || /[\u0000-\u0009\u000b-\u001f]/.test(text)) return null;
  const at = text.lastIndexOf('\n\n');
  if (at < 0 || !text.endsWith('\n')) return null;
  const lines = text.slice(at + 2, -1).split('\n');
  if (lines.length > SIGNATURES_MAX) return null;
  const signatures: Signature[] = [];
  for (const line of lines) {
    const [, name, spelling] = /^— ([^\s+]+) (\S+)$/.exec(line) ?? [];
    const raw = spelling === undefined ? null : fromBase64(spelling);
    if (name === undefined || raw === null || raw.length < 5) return null;
    signatures.push({ name, id: raw.slice(0, 4), data: raw.slice(4) });
  }
  return { body: text.slice(0, at + 1), signatures };
}

/** A checkpoint, or null. */
export function readCheckpoint(text: string): Checkpoint | null {
  const note = readNote(text);
  const [origin, size, root] = note?.body.split('\n') ?? [];
  const hash = fromBase64(root ?? '');
  if (note === null || !origin || !isDecimal(size) || hash?.length !== HASH_BYTES) return null;
  return { ...note, origin, size: BigInt(size), root: hash };
}

function isDecimal(text: string | undefined): text is string {
  return text !== undefined && /^(?:0|[1-9]\d{0,18})$/.test(text);
}

/** A C2SP tlog-proof whose `extra` is the leaf, or null. */
export function readProof(text: string): LogProof | null {
  const at = text.indexOf('\n\n');
  if (bytesOf(text).length > PROOF_BYTES_MAX || at < 0) return null;
  const [first, extra = '', index = '', ...hashes] = text.slice(0, at).split('\n');
  if (first !== 'c2sp.org/tlog-proof@v1' || !extra.startsWith('extra ') || !index.startsWith('index ')) return null;
  const number = index.slice(6);
  const raw = fromBase64(extra.slice(6));
  const path = hashes.map(fromBase64);
  const checkpoint = readCheckpoint(text.slice(at + 2));
  if (raw === null || !isDecimal(number) || checkpoint === null || path.length > PATH_MAX || path.some((hash) => hash?.length !== HASH_BYTES)) return null;
  const leafText = textFrom(raw);
  const leaf = leafText === null ? null : readLeaf(leafText);
  return leaf === null || leafText === null ? null : { leafText, leaf, index: BigInt(number), path: path as Bytes[], checkpoint };
}

/** A verifier key of this type whose id is its own; null: another. */
export async function readKey(text: string, type: number): Promise<Key | null> {
  const [name = '', id = '', ...rest] = text.split('+');
  const raw = fromBase64(rest.join('+'));
  const said = fromHex(id);
  if (!/^[^\s+]+$/.test(name) || said?.length !== 4 || raw?.length !== HASH_BYTES + 1 || raw[0] !== type) return null;
  const made = (await sha256(joined(bytesOf(`${name}\n`), raw))).slice(0, 4);
  return isSame(made, said) ? { name, id: said, publicKey: raw.slice(1) } : null;
}

/** A C2SP tlog-policy; a number: the line that is wrong. */
export async function readPolicy(text: string): Promise<Policy | number> {
  if (bytesOf(text).length > POLICY_BYTES_MAX) return 0;
  const logs: Key[] = [];
  const witnesses = new Map<string, Key>();
  const groups = new Map<string, Group>();
  let quorum: string | null = null;
  const isNew = (name: string): boolean => name !== 'none' && !witnesses.has(name) && !groups.has(name);
  const isKnown = (name: string): boolean => witnesses.has(name) || groups.has(name);
  const isTwice = ({ publicKey }: Key): boolean => [...logs, ...witnesses.values()].some((one) => isSame(one.publicKey, publicKey));
  for (const [i, line] of text.split('\n').entries()) {
    const [what, name = '', spec = '', ...rest] = line.trim().split(/[ \t]+/);
    if (what === '' || what?.startsWith('#')) continue;
    if (what === 'log') {
      const key = await readKey(name, LOG);
      if (key === null || rest.length > 0 || isTwice(key) || logs.length >= KEYS_MAX) return i + 1;
      logs.push(key);
    } else if (what === 'witness') {
      const key = await readKey(spec, COSIGNATURE);
      if (key === null || rest.length > 1 || !isNew(name) || isTwice(key) || witnesses.size >= KEYS_MAX) return i + 1;
      witnesses.set(name, key);
    } else if (what === 'group') {
      const least = spec === 'any' ? 1 : spec === 'all' ? rest.length : isDecimal(spec) ? Number(spec) : 0;
      if (!isNew(name) || rest.length === 0 || least < 1 || least > rest.length || new Set(rest).size < rest.length || !rest.every(isKnown) || groups.size >= GROUPS_MAX) return i + 1;
      groups.set(name, { least, members: rest });
    } else if (what === 'quorum') {
      if (quorum !== null || spec !== '' || !(name === 'none' || isKnown(name))) return i + 1;
      quorum = name === 'none' ? '' : name;
    } else return i + 1;
  }
  return quorum === null ? 0 : { logs, witnesses, groups, quorum };
}

/** Whether those who have signed are enough. */
export function isQuorum({ groups, quorum }: Policy, signed: ReadonlySet<string>): boolean {
  const holds = (name: string): boolean => {
    const group = groups.get(name);
    return group === undefined ? signed.has(name) : group.members.filter(holds).length >= group.least;
  };
  return quorum === '' || holds(quorum);
}

/** The signatures of a key on a note: those under its name and id. */
export function signaturesOf({ signatures }: Note, key: Key): readonly Signature[] {
  return signatures.filter(({ name, id }) => name === key.name && isSame(id, key.id));
}

export function isSignedByLog({ body }: Note, key: Key, { data }: Signature): Promise<boolean> {
  return isSigned(key.publicKey, data, bytesOf(body));
}

/** When the witness signed, by its own clock, in seconds; null: it did not sign this. */
export async function cosignedAt({ body }: Note, key: Key, { data }: Signature): Promise<number | null> {
  if (data.length !== 72) return null;
  const seconds = data.slice(0, 8).reduce((sum, byte) => sum * 256 + byte, 0);
  if (!Number.isSafeInteger(seconds)) return null;
  const said = bytesOf(`cosignature/v1\ntime ${seconds}\n${body}`);
  return (await isSigned(key.publicKey, data.slice(8), said)) ? seconds : null;
}
