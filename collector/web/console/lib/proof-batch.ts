/**
 * A batch read in the browser: envelope, header, hashes (WIRE sections 2 to 4 and 8).
 * Law: any bytes get a verdict, under the names of WIRE section 8; the records inside are not looked at.
 */
import { Refused } from './decode';
import { bytesOf, isSame, isSigned, joined, sha256, textFrom } from './proof-bytes';
import type { Bytes } from './proof-bytes';

const HEAD = Uint8Array.of(0xd2, 0x84, 0x43, 0xa1, 0x01, 0x32, 0xa1, 0x04, 0x48);
const AAD = bytesOf('plomba/batch/1');
const SIGNED = joined(Uint8Array.of(0x84, 0x6a), bytesOf('Signature1'), Uint8Array.of(0x43, 0xa1, 0x01, 0x32, 0x40 | AAD.length), AAD);
const PAYLOAD_BYTES_MIN = 24;
const PAYLOAD_BYTES_MAX = 32_768;
const ENVELOPE_BYTES = 86;
const NESTING_MAX = 8;
const FORMAT = 1;
const LIM = 2 ** 42;
const UNIT_ID = /^[a-z0-9][a-z0-9-]{1,30}[a-z0-9]$/;

export interface Opened {
  readonly kid: Bytes;
  readonly payload: Bytes;
  readonly signature: Bytes;
}

export interface Header {
  readonly unit: string;
  readonly chain: Bytes;
  readonly number: number;
  readonly prev: Bytes;
  readonly firstSeq: number;
  readonly count: number;
}

/** COSE_Sign1 in its one layout, by slicing. */
export function openEnvelope(message: Bytes): Opened | Refused {
  if (message.length > PAYLOAD_BYTES_MAX + ENVELOPE_BYTES) return new Refused('TooBig');
  const bad = new Refused('BadEnvelope');
  if (message.length < 19 || !isSame(message.slice(0, 9), HEAD)) return bad;
  const isLong = message[17] === 0x59;
  const begin = isLong ? 20 : 19;
  const size = isLong ? message[18]! * 256 + message[19]! : message[18]!;
  if (isLong ? size < 256 : message[17] !== 0x58 || size < PAYLOAD_BYTES_MIN) return bad;
  const end = begin + size;
  if (message.length !== end + 66 || message[end] !== 0x58 || message[end + 1] !== 0x40) return bad;
  return { kid: message.slice(9, 17), payload: message.slice(begin, end), signature: message.slice(end + 2) };
}

export function isSealedBy(publicKey: Bytes, { payload, signature }: Opened): Promise<boolean> {
  const size = payload.length < 256 ? [0x58, payload.length] : [0x59, payload.length >> 8, payload.length & 0xff];
  return isSigned(publicKey, signature, joined(SIGNED, Uint8Array.from(size), payload));
}

/** What stands for the batch: all of it but the signature. */
export function headOf(payload: Bytes): Promise<Bytes> {
  return sha256(joined(bytesOf('plomba/batch/1\0'), payload));
}

/** What batch 0 of a chain links to. */
export function firstLink(unit: string, chain: Bytes, publicKey: Bytes): Promise<Bytes> {
  const name = bytesOf(unit);
  return sha256(joined(bytesOf('plomba/chain/1\0'), Uint8Array.of(name.length), name, Uint8Array.of(chain.length), chain, Uint8Array.of(publicKey.length), publicKey));
}

export async function kidOf(publicKey: Bytes): Promise<Bytes> {
  return (await sha256(publicKey)).slice(0, 8);
}

/** The header of a batch. */
export function readHeader(payload: Bytes): Header | Refused {
  const reader = new Reader(payload);
  let values: Value;
  try {
    values = reader.whole();
  } catch {
    return new Refused('BadPayload');
  }
  if (!Array.isArray(values) || typeof values[0] !== 'number') return new Refused('BadPayload');
  if (!reader.isCanonical) return new Refused('NotCanonical');
  if (values[0] !== FORMAT) return new Refused('UnknownFormat');
  const [, unit, chain, boot, number, prev, firstSeq, count, sealed, mono, quality, seen, codec, rawLen, body] = values;
  const numbers = [boot, number, firstSeq, count, sealed, mono, quality, codec, rawLen];
  if (values.length !== 15 || !numbers.every((one) => typeof one === 'number') || typeof unit !== 'string') return new Refused('BadPayload');
  if (!(isBytes(chain) && isBytes(prev) && isBytes(body))) return new Refused('BadPayload');
  const isSeen = seen === null || (Array.isArray(seen) && seen.length === 2 && typeof seen[0] === 'number' && isBytes(seen[1]));
  if (!isSeen) return new Refused('BadPayload');
  const most = [2 ** 32 - 1, 2 ** 32 - 1, LIM - 1, 1_024, LIM - 1, LIM - 1, 3, 255, 65_536];
  const least = [0, 0, 0, 1, 0, 0, 0, 0, 1];
  const isWithin = numbers.every((one, i) => (one as number) >= least[i]! && (one as number) <= most[i]!);
  const seenSize = Array.isArray(seen) ? (seen[0] as number) : 1;
  const seenRoot = Array.isArray(seen) ? (seen[1] as Bytes).length : 32;
  const isSeenWithin = seenSize >= 1 && seenSize < LIM && seenRoot === 32;
  if (!isWithin || !isSeenWithin || !UNIT_ID.test(unit) || chain.length !== 16 || prev.length !== 32 || (firstSeq as number) + (count as number) >= LIM) return new Refused('OutOfRange');
  return { unit, chain, number: number as number, prev, firstSeq: firstSeq as number, count: count as number };
}

function isBytes(value: Value | undefined): value is Bytes {
  return value instanceof Uint8Array;
}

type Value = null | number | string | Bytes | readonly Value[];

/** The subset of MessagePack of WIRE section 3. Whatever is outside of it throws, and `readHeader` says so by name. */
class Reader {
  isCanonical = true;
  private at = 0;

  constructor(private readonly bytes: Bytes) {}

  whole(): Value {
    const value = this.value(0);
    if (this.at !== this.bytes.length) throw new RangeError('bytes follow');
    return value;
  }

  private value(depth: number): Value {
    const byte = this.uint(1);
    if (byte < 0x80) return byte;
    if (byte >= 0xe0) return byte - 256;
    if (byte >= 0xa0 && byte < 0xc0) return this.text(byte & 0x1f);
    if (byte >= 0x90 && byte < 0xa0) return this.list(byte & 0x0f, depth);
    switch (byte) {
      case 0xc0:
        return null;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return this.take(this.sized(2 ** (byte - 0xc4), [0, 2 ** 8, 2 ** 16]));
      case 0xcc:
      case 0xcd:
      case 0xce:
      case 0xcf:
        return this.sized(2 ** (byte - 0xcc), [2 ** 7, 2 ** 8, 2 ** 16, 2 ** 32]);
      case 0xd0:
      case 0xd1:
      case 0xd2:
      case 0xd3:
        return this.below(2 ** (byte - 0xd0));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.text(this.sized(2 ** (byte - 0xd9), [32, 2 ** 8, 2 ** 16]));
      case 0xdc:
      case 0xdd:
        return this.list(this.sized(byte === 0xdc ? 2 : 4, [0, 16, 2 ** 16]), depth);
      default:
        throw new RangeError('a kind that does not occur');
    }
  }

  /** An unsigned number of `size` bytes that would have found no room in fewer: `leasts` by the logarithm of the size. */
  private sized(size: number, leasts: readonly number[]): number {
    const found = this.uint(size);
    if (found < leasts[Math.log2(size)]!) this.isCanonical = false;
    return found;
  }

  private below(size: number): number {
    const found = this.uint(size);
    const whole = 2 ** (8 * size);
    const value = found >= whole / 2 ? found - whole : found;
    const most = [-33, -129, -32_769, -2_147_483_649][Math.log2(size)]!;
    if (value > most) this.isCanonical = false;
    return value;
  }

  private uint(size: number): number {
    let value = 0;
    for (const byte of this.take(size)) value = value * 256 + byte; // beyond 2^53 not exact, and out of every range
    return value;
  }

  private text(size: number): string {
    const found = textFrom(this.take(size));
    if (found === null) throw new RangeError('no UTF-8');
    return found;
  }

  private list(size: number, depth: number): Value[] {
    if (depth >= NESTING_MAX || size > this.bytes.length - this.at) throw new RangeError('too deep, or too long');
    return Array.from({ length: size }, () => this.value(depth + 1));
  }

  private take(size: number): Bytes {
    if (size > this.bytes.length - this.at) throw new RangeError('cut off');
    this.at += size;
    return this.bytes.slice(this.at - size, this.at);
  }
}
