/** How far a zone is from UTC. Law: `Intl` knows zones, and nothing else of it is used here: its Uzbek is wrong. */

const HOUR_MS = 3_600_000;

/** Minutes east of UTC at a moment, remembered by the hour. */
export function offsetOf(zone: string): (atMs: number) => number {
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-GB', { timeZone: zone, timeZoneName: 'longOffset' });
  } catch {
    return () => 0; // a zone that this browser does not know: UTC, and the strip says so
  }
  const known = new Map<number, number>();
  return (atMs) => {
    const hour = Math.floor(atMs / HOUR_MS);
    let minutes = known.get(hour);
    if (minutes === undefined) {
      const said = format.formatToParts(atMs).find(({ type }) => type === 'timeZoneName')?.value ?? '';
      const [, sign, hours, rest] = /GMT([+-])(\d+):(\d+)/.exec(said) ?? [];
      minutes = hours === undefined ? 0 : (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(rest));
      known.set(hour, minutes);
    }
    return minutes;
  };
}

/** `+05`, `+05:30` */
export function offsetWords(minutes: number): string {
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  const two = (n: number): string => String(n).padStart(2, '0');
  return `${minutes < 0 ? '−' : '+'}${two(hours)}${rest ? `:${two(rest)}` : ''}`;
}
