/** Bytes, their spellings, and the two primitives of WebCrypto that a proof needs. Law: a spelling that is not the only one is null. */

export type Bytes = Uint8Array<ArrayBuffer>;

export const HASH_BYTES = 32;

export function bytesOf(text: string): Bytes {
  return Uint8Array.from(new TextEncoder().encode(text));
}

/** The text that the bytes spell; null: no UTF-8. */
export function textFrom(bytes: Bytes): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

export function joined(...parts: readonly Bytes[]): Bytes {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function isSame(one: Bytes, other: Bytes): boolean {
  return one.length === other.length && one.every((byte, i) => byte === other[i]);
}

export function hexOf(bytes: Bytes): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Lower-case hex only. */
export function fromHex(text: string): Bytes | null {
  if (!/^(?:[0-9a-f]{2})*$/.test(text)) return null;
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** The standard alphabet, with its padding and without a bit left over. */
export function fromBase64(text: string): Bytes | null {
  let raw: string;
  try {
    raw = atob(text);
  } catch {
    return null;
  }
  return btoa(raw) === text ? Uint8Array.from(raw, (sign) => sign.charCodeAt(0)) : null;
}

export async function sha256(bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
}

/** Whether the Ed25519 key made this signature over the message. */
export async function isSigned(publicKey: Bytes, signature: Bytes, message: Bytes): Promise<boolean> {
  try {
    const key = await crypto.subtle.importKey('raw', publicKey, 'Ed25519', false, ['verify']);
    return await crypto.subtle.verify('Ed25519', key, signature, message);
  } catch {
    return false; // no point of the curve
  }
}

/** Whether this browser can reckon both: an old one, or a page without TLS, cannot. */
export async function canReckon(): Promise<boolean> {
  try {
    await crypto.subtle.importKey('raw', new Uint8Array(HASH_BYTES).fill(1, 0, 1), 'Ed25519', false, ['verify']);
    return true;
  } catch {
    return false;
  }
}
