/** The part of a catalogue that comes with the first screen beyond the control room (vite.config.ts). */
declare module '*?later' {
  const texts: Readonly<Record<string, string>>;
  export default texts;
}
