/**
 * An alert as the console knows it, decoded from a row of the live protocol, and its words (DETECTION sections 8 and 9).
 * Law: codes and parameters came; the sentence is made here. What is newer than the catalogue is shown as it is.
 */
import facts from './alerts.json';
import { Refused, isFields, isList, numberOf, textOf } from './decode';
import type { Fields } from './decode';
import { readPlace } from './place';
import type { Place } from './place';
import type { Words } from './words';

export const STATES = [
  'UNACKED', 'ACKED', 'CLEARED_UNACKED', 'RESET_PROPOSED', 'SHELVED', 'SUPPRESSED', 'OUT_OF_SERVICE', 'CLOSED',
] as const;
export type State = (typeof STATES)[number];
export const OUTCOMES: readonly string[] = facts.outcomes;

export interface Alert {
  readonly id: string;
  readonly rev: number;
  readonly no: number;
  readonly unit: string;
  readonly plate: string;
  readonly code: string;
  readonly p: Fields;
  readonly prio: number;
  readonly state: State;
  readonly sinceMs: number;
  readonly heardMs: number;
  readonly seenBy: string;
  readonly owner: string;
  readonly proposedBy: string;
  /** When a rest or a proposal is over. */
  readonly untilMs: number | null;
  /** The alert under which this one is folded; '' if it stands by itself. */
  readonly under: string;
  readonly more: number;
  readonly isLate: boolean;
  /** Changing to and fro until then. */
  readonly chatterMs: number | null;
  /** What an early copy said and the chain has not confirmed yet. */
  readonly isEarly: boolean;
  readonly lon: number | null;
  readonly lat: number | null;
  readonly place: Place | null;
}

export function readAlert(value: unknown): Alert | Refused {
  if (!isFields(value)) return new Refused('no_object');
  const id = textOf(value['id']);
  const code = textOf(value['code']);
  const rev = numberOf(value['rev']);
  const prio = numberOf(value['prio']);
  const state = STATES.find((one) => one === value['stage']);
  const sinceMs = numberOf(value['since']);
  if (id === null || code === null || rev === null || prio === null || state === undefined || sinceMs === null) {
    return new Refused('no_alert');
  }
  return {
    id,
    rev,
    no: numberOf(value['no']) ?? 0, // an alert of the office has no unit
    unit: textOf(value['unit']) ?? '',
    plate: textOf(value['plate']) ?? '',
    code,
    p: isFields(value['p']) ? value['p'] : {},
    prio,
    state,
    sinceMs,
    heardMs: numberOf(value['heard']) ?? sinceMs,
    seenBy: textOf(value['seen_by']) ?? '',
    owner: textOf(value['owner']) ?? '',
    proposedBy: textOf(value['proposed_by']) ?? '',
    untilMs: numberOf(value['until']),
    under: textOf(value['under']) ?? '',
    more: numberOf(value['more']) ?? 0,
    isLate: value['late'] === true,
    chatterMs: numberOf(value['chatter']),
    isEarly: value['early'] === true,
    lon: numberOf(value['lon']),
    lat: numberOf(value['lat']),
    place: readPlace(value['place']),
  };
}

/** Nobody has said that he saw it: it stands above, and sounds while its cause holds. */
export function isUnseen({ state }: Alert): boolean {
  return state === 'UNACKED' || state === 'CLEARED_UNACKED';
}

export function isActive({ state }: Alert): boolean {
  return !isResting({ state } as Alert) && state !== 'CLOSED';
}

export function isResting({ state }: Alert): boolean {
  return state === 'SHELVED' || state === 'SUPPRESSED' || state === 'OUT_OF_SERVICE';
}

export function isLatched({ code }: { readonly code: string }): boolean {
  return facts.latched.includes(code);
}

/** Minutes to answer. */
export function minutesOf(prio: number): number {
  return facts.minutes[prio - 1] ?? 60;
}

/** Hours for which it may be shelved at most; 0: never. */
export function shelveHours(prio: number): number {
  return facts.shelveHours[prio - 1] ?? 0;
}

export function nameOf(words: Words, code: string): string {
  const key = `alert.${code}.name`;
  return words.has(key) ? words.text(key) : shown(code);
}

/** Of a row: name, and the one thing that its value says. */
export function whatOf(words: Words, alert: Alert): string {
  const value = alert.p['value'];
  const said = value === undefined || value === null ? '' : valued(words, alert.code, value);
  return said ? `${nameOf(words, alert.code)}: ${said}` : nameOf(words, alert.code);
}

/** `the seal is open ... (the rope is cut)`, and what to do. */
export function sentenceOf(words: Words, alert: Alert): string {
  const key = `alert.${alert.code}.what`;
  const what = words.has(key) ? words.text(key) : shown(alert.code);
  const details = detailsOf(words, alert).join('; ');
  const subject = subjectOf(words, alert);
  const told = details
    ? words.text('sentence.told', { subject, what, details })
    : words.text('sentence', { subject, what });
  return alert.p['phase'] === 'end' ? words.text('sentence.over', { sentence: told }) : told;
}

function subjectOf(words: Words, alert: Alert): string {
  const names: [string, unknown][] = [
    ['unit', alert.unit],
    ['seal', alert.p['seal']],
    ['zone', alert.p['zone']],
    ['route', alert.p['zone'] ? '' : alert.p['route']],
  ];
  const said = names
    .filter(([, name]) => typeof name === 'string' && name !== '')
    .map(([kind, name]) => words.text(`subject.${kind}`, { name: shown(name) }));
  return (alert.unit ? said : [words.text('subject.none'), ...said]).join(', ');
}

function detailsOf(words: Words, { code, p }: Alert): string[] {
  const value = p['value'];
  const data = isFields(p['data']) ? p['data'] : p;
  const said = value === undefined || value === null ? [] : [valued(words, code, value)];
  for (const reason of names(data['reasons']).slice(1)) said.push(valued(words, code, reason)); // the first is the value
  const declared = names(data['declared']);
  const points = names(data['checkpoints']);
  const tags = numberOf(data[value === 'missing' ? 'missing_n' : 'foreign_n']);
  const silentS = numberOf(data['silent_s']);
  const [first, last] = [numberOf(data['first_batch']), numberOf(data['last_batch'])];
  if (code === 'SEAL_ID_MISMATCH' && declared.length) said.push(words.text(`alert.${code}.declared`, { names: listed(declared) }));
  if (code === 'RFID_CARGO_MISMATCH' && tags !== null) said.push(words.counted(`alert.${code}.tags`, tags));
  if (code === 'ROUTE_PART_SKIPPED' && points.length) said.push(words.counted(`alert.${code}.checkpoints`, points.length, { names: listed(points) }));
  if (code === 'CONTACT_LOST' && silentS !== null) said.push(words.text(`alert.${code}.silent`, { value: words.span(silentS) }));
  if (code === 'LOG_INTEGRITY' && first !== null && last !== null) {
    said.push(words.text(`alert.${code}.batches`, { first: words.number(first), last: words.number(last) }));
  }
  if (isList(data['gnss']) ? data['gnss'].length : data['gnss']) said.push(words.text('note.gnss'));
  return said;
}

const MEASURED: Readonly<Record<string, string>> = facts.measured;

function valued(words: Words, code: string, value: unknown): string {
  if (typeof value !== 'number') {
    const word = String(value);
    if (words.has(`alert.${code}.word.${word}`)) return words.text(`alert.${code}.word.${word}`);
    return words.has(`alert.${code}.other`) ? words.text(`alert.${code}.other`, { word: shown(word) }) : shown(word);
  }
  const say = MEASURED[code];
  if (say === undefined) return words.number(value, 1);
  const told = say === 'distance' ? words.distance(value) : say === 'span' ? words.span(value) : words.percent(value);
  return words.text(`alert.${code}.measured`, { value: told });
}

function names(value: unknown): string[] {
  return isList(value) ? value.map(String) : [];
}

const NAMES_MAX = 5;
const NAME_CHARS_MAX = 80;

function listed(all: readonly string[]): string {
  return all.slice(0, NAMES_MAX).map(shown).join(', ') + (all.length > NAMES_MAX ? ', …' : '');
}

/** A name from outside, fit for a screen. */
export function shown(name: unknown): string {
  const text = [...String(name)].map((letter) => (/[\p{C}\p{Z}]/u.test(letter) && letter !== ' ' ? '\ufffd' : letter));
  return text.length <= NAME_CHARS_MAX ? text.join('') : `${text.slice(0, NAME_CHARS_MAX).join('')}…`;
}
