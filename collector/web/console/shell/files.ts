/** Bytes as a file of the one who sits here. */

export function save(data: ArrayBuffer, name: string): void {
  const url = URL.createObjectURL(new Blob([data]));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
