// A component's core modules, compiled once for all threads.

import { readdir, readFile } from 'node:fs/promises';

const COMPONENT = new URL('../component/', import.meta.url);
/** Bytes of a page of WebAssembly memory. */
const PAGE = 65_536;
/** The number of the section that declares memories. */
const MEMORY_SECTION = 5;

/** The core modules in a directory of `component/`, by name, none of whose memories grows beyond so many bytes. */
export async function compile(directory: string, memory: number): Promise<Record<string, WebAssembly.Module>> {
  const component = new URL(directory, COMPONENT);
  const names = (await readdir(component)).filter((name) => name.endsWith('.wasm'));
  const modules = names.map(async (name): Promise<[string, WebAssembly.Module]> => {
    const bytes = capped(await readFile(new URL(name, component)), Math.max(1, Math.floor(memory / PAGE)));
    return [name, await WebAssembly.compile(bytes)];
  });
  return Object.fromEntries(await Promise.all(modules));
}

/** The module with a maximum on the one memory that it declares: JavaScript has no other way to bound an instance. */
export function capped(module: Buffer, pages: number): Uint8Array<ArrayBuffer> {
  // A header of eight bytes, then sections: a number, a length, so many bytes.
  for (let at = 8; at < module.length; ) {
    const id = module[at];
    const [length, start] = unsigned(module, at + 1);
    const end = start + length;
    if (id === MEMORY_SECTION) {
      const [count, flagsAt] = unsigned(module, start);
      const [minimum, maximumAt] = unsigned(module, flagsAt + 1);
      const flags = module[flagsAt];
      if (count !== 1 || (flags !== 0 && flags !== 1)) throw new Error('the component declares its memory in an unknown way');
      const declared = flags === 1 ? unsigned(module, maximumAt)[0] : Number.POSITIVE_INFINITY;
      const memory = [1, 1, ...leb(minimum), ...leb(Math.max(minimum, Math.min(pages, declared)))];
      const section = Uint8Array.from([MEMORY_SECTION, ...leb(memory.length), ...memory]);
      return new Uint8Array(Buffer.concat([module.subarray(0, at), section, module.subarray(end)]));
    }
    at = end;
  }
  return new Uint8Array(module);
}

/** An unsigned LEB128 number, and where it ends. */
function unsigned(bytes: Buffer, at: number): [number, number] {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++];
    if (byte === undefined || shift > 28) throw new Error('the component is damaged: build it again');
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return [value, at];
  }
}

function leb(value: number): number[] {
  const bytes = [];
  for (; value >= 0x80; value = Math.floor(value / 0x80)) bytes.push((value % 0x80) | 0x80);
  return [...bytes, value];
}
