/** What somebody is typing or drawing, kept by this tab until it is done. Law: a browser that keeps nothing costs no more than that. */

export function keptOf(name: string): string {
  try {
    return sessionStorage.getItem(name) ?? '';
  } catch {
    return '';
  }
}

export function keep(name: string, text: string): void {
  try {
    if (text === '') sessionStorage.removeItem(name);
    else sessionStorage.setItem(name, text);
  } catch {
    // nothing is kept here, or it is too long: it lives as long as the page
  }
}
