/** What the stream's holder and the tabs say to one another. Law: plain data; nothing here opens anything. */

/** From a tab. */
export type Ask = { readonly kind: 'begin'; readonly since: number } | { readonly kind: 'ping' } | { readonly kind: 'leave' };

/** To a tab: an event of the stream as it came, or how the stream stands. */
export type News =
  | {
      readonly kind: 'event';
      readonly name: EventName;
      readonly data: string;
      readonly id: string;
      /** How long ago it came: who joins late is told of it late, and a time that it tells is then so old. */
      readonly ageMs: number;
    }
  | { readonly kind: 'up' }
  | { readonly kind: 'down' }
  | { readonly kind: 'login' }
  | { readonly kind: 'pong' };

/** Nothing that the centre said, so it makes nothing on the screen younger. */
export const READ_ANEW: News = { kind: 'event', name: 'reset', data: '{"why":"old"}', id: '', ageMs: Number.POSITIVE_INFINITY };

export const EVENTS = ['units', 'alert', 'stat', 'reset', 'deploy', 'bye'] as const;
export type EventName = (typeof EVENTS)[number];

export type Tell = (news: News) => void;
