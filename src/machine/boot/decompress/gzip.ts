/** gzip (RFC 1952), by the web platform's own decoder, which also checks the trailer. */

/** Unpacks a gzip member into `output`. Throws an Error when it is damaged or does not give output.length bytes. */
export async function decompressGzip(member: Uint8Array, output: Uint8Array): Promise<void> {
  const source = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      controller.enqueue(member as Uint8Array<ArrayBuffer>);
      controller.close();
    },
  });
  const reader = source.pipeThrough(new DecompressionStream("gzip")).getReader();
  let to = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (value.length > output.length - to) throw new Error("gzip member gives more bytes than expected");
    output.set(value, to);
    to += value.length;
  }
  if (to !== output.length) throw new Error(`gzip member gives ${to} bytes, ${output.length} expected`);
}
