/** What the stream's holder and the tabs say to one another. Law: plain data; nothing here opens anything. */

/** From a tab. */
export type Ask = { readonly kind: 'begin'; readonly since: number } | { readonly kind: 'ping' } | { readonly kind: 'leave' };

/** To a tab: an event of the stream as it came, or how the stream stands. */
export type News =
  | { readonly kind: 'event'; readonly name: EventName; readonly data: string; readonly id: string }
  | { readonly kind: 'up' }
  | { readonly kind: 'down' }
  | { readonly kind: 'login' }
  | { readonly kind: 'pong' };

export const EVENTS = ['units', 'alert', 'stat', 'reset', 'deploy', 'bye'] as const;
export type EventName = (typeof EVENTS)[number];

export type Tell = (news: News) => void;
