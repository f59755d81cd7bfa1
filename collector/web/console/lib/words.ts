/**
 * Sentences, numbers, lengths of time, dates: the browser's reader of locales/ (CONSOLE section 5).
 * Law: what is said here is what collector/texts says of the same input; vectors.json holds both to it.
 */
import formats from '../../locales/format.json';

export const LANGUAGES = ['uz', 'ru', 'en'] as const;
export type Language = (typeof LANGUAGES)[number];
export type Catalogue = Readonly<Record<string, string>>;
export type Parameters = Readonly<Record<string, string>>;

const SIZES_S = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
  ['s', 1],
] as const;

export function isLanguage(value: unknown): value is Language {
  return LANGUAGES.some((language) => language === value);
}

/** The class of CLDR: one, few, many or other. */
export function pluralForm(language: Language, n: number): string {
  if (language !== 'ru') return n === 1 ? 'one' : 'other';
  if (!Number.isInteger(n)) return 'other';
  const tens = n % 100;
  const ones = n % 10;
  if (ones === 1 && tens !== 11) return 'one';
  return ones >= 2 && ones <= 4 && !(tens >= 12 && tens <= 14) ? 'few' : 'many';
}

/** One language. `offsetMin` is the site's zone in minutes east of UTC, at the moment that is told. */
export class Words {
  constructor(
    readonly language: Language,
    private readonly catalogue: Catalogue,
    private readonly offsetMin: (atMs: number) => number = () => 0,
  ) {}

  /** The sentence under `key`. A key that is not there is our mistake: it is shown, and a test walks all of them. */
  text(key: string, parameters: Parameters = {}): string {
    const found = this.catalogue[key];
    if (found === undefined) return key;
    return found.replace(/\{(\w+)\}/g, (whole, name: string) => parameters[name] ?? whole);
  }

  has(key: string): boolean {
    return this.catalogue[key] !== undefined;
  }

  /** The sentence in the form that `n` asks for; `{n}` in it is the number as people write it. */
  counted(key: string, n: number, parameters: Parameters = {}): string {
    return this.text(`${key}_${pluralForm(this.language, n)}`, { ...parameters, n: this.number(n) });
  }

  /** `1,234.5`, and `1 234,5` in Russian and Uzbek. Whole decimals are left away. */
  number(n: number, decimals = 0): string {
    const signs = formats[this.language];
    const [whole = '', part = ''] = rounded(n, decimals).split('.');
    const kept = part.replace(/0+$/, '');
    return whole.replace(/\B(?=(\d{3})+$)/g, signs.group) + (kept ? signs.decimal + kept : '');
  }

  /** `45 s`, `12 min`, `2 h 5 min`, `3 d 4 h`: the largest size and, from hours on, the next. */
  span(seconds: number): string {
    const left = Math.max(0, roundedEven(seconds));
    const index = SIZES_S.findIndex(([unit, size]) => left >= size || unit === 's');
    const [unit, size] = SIZES_S[index]!;
    const said = [this.text(`unit.${unit}`, { n: this.number(Math.floor(left / size)) })];
    if (unit === 'd' || unit === 'h') {
      const [smaller, smallerS] = SIZES_S[index + 1]!;
      const rest = Math.floor((left % size) / smallerS);
      if (rest) said.push(this.text(`unit.${smaller}`, { n: this.number(rest) }));
    }
    return said.join(' ');
  }

  /** `5 min ago`. */
  ago(seconds: number): string {
    return this.text('time.ago', { span: this.span(seconds) });
  }

  /** `850 m`, `1.2 km`, `52 km`. */
  distance(metres: number): string {
    const m = Math.max(0, metres);
    if (roundedEven(m) < 1_000) return this.text('unit.m', { n: this.number(roundedEven(m)) });
    const km = m / 1_000;
    return this.text('unit.km', { n: this.number(km, km < 10 ? 1 : 0) });
  }

  percent(share: number): string {
    return this.text('unit.percent', { n: this.number(share) });
  }

  /** `14:02:31` in the site's zone. */
  time(atMs: number): string {
    return this.local(atMs).toISOString().slice(11, 19);
  }

  /** `14:02` */
  clock(atMs: number): string {
    return this.time(atMs).slice(0, 5);
  }

  /** `21 Sep 2026` */
  date(atMs: number): string {
    const at = this.local(atMs);
    const { date, months } = formats[this.language];
    return filled(date, {
      day: String(at.getUTCDate()),
      month: months[at.getUTCMonth()] ?? '',
      year: String(at.getUTCFullYear()),
    });
  }

  /** `21 Sep 2026, 14:02` */
  moment(atMs: number): string {
    return filled(formats[this.language].moment, { date: this.date(atMs), time: this.clock(atMs) });
  }

  private local(atMs: number): Date {
    return new Date(atMs + this.offsetMin(atMs) * 60_000);
  }
}

/** `00:41`, `12:20`, `1:02:20`: how long a row is there, told each second. */
export function stopwatch(seconds: number): string {
  const left = Math.max(0, Math.floor(seconds));
  const two = (n: number): string => String(n).padStart(2, '0');
  const hours = Math.floor(left / 3_600);
  const rest = `${two(Math.floor(left / 60) % 60)}:${two(left % 60)}`;
  return hours ? `${hours}:${rest}` : rest;
}

function filled(pattern: string, parameters: Parameters): string {
  return pattern.replace(/\{(\w+)\}/g, (_whole, name: string) => parameters[name] ?? '');
}

/** Halves go to the even neighbour, as Python's round() has it. */
function roundedEven(n: number): number {
  const below = Math.floor(n);
  return n - below === 0.5 ? below + (below % 2) : Math.round(n);
}

function rounded(n: number, decimals: number): string {
  if (decimals === 0) return String(roundedEven(n));
  // The only halves that a double holds exactly at one decimal end in .25 and .75; toFixed would take them up.
  const isHalf = decimals === 1 && Number.isInteger(n * 4) && !Number.isInteger(n * 2);
  return (isHalf ? roundedEven(n * 10) / 10 : n).toFixed(decimals);
}
