// @ts-check
/**
 * Reads a QR code out of pixels, for browsers that have no detector of their own. The only part of the officer's page that is built.
 * Law: loaded when somebody scans, never with a page.
 */
import jsQR from 'jsqr';

/** The text of a code, or null. @param {ImageData} image @returns {string | null} */
export function read(image) {
  return jsQR(image.data, image.width, image.height)?.data || null;
}
