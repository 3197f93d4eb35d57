/** The part of the WebAssembly JavaScript interface that is used here; the compiler's own copy is in its DOM library only. */
export {};

declare global {
  namespace WebAssembly {
    class Module {
      constructor(bytes: Uint8Array);
      static customSections(module: Module, name: string): ArrayBuffer[];
    }
    class Instance {
      constructor(module: Module, imports?: Record<string, Record<string, unknown>>);
      readonly exports: Record<string, unknown>;
    }
    class Memory {
      constructor(descriptor: { initial: number; maximum?: number; shared?: boolean });
      readonly buffer: ArrayBufferLike;
      grow(pages: number): number;
    }
    function compile(bytes: Uint8Array<ArrayBuffer>): Promise<Module>;
  }
}
