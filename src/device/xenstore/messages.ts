/** Xenstore messages: a 16-byte header and a payload (public/io/xs_wire.h). */
import { Fields, XENSTORE_PAYLOAD_MAX, xsd_sockmsg } from "../../abi/xen/index.js";

/** One message. */
export interface XenstoreMessage {
  /** XS_*. */
  readonly type: number;
  readonly requestId: number;
  readonly transactionId: number;
  readonly payload: Uint8Array;
}

/** Result of looking for a message at the start of collected bytes; "partial" = more bytes are needed. */
export type Parsed =
  | "partial"
  /** The length is over the limit: nothing behind the header can be trusted. */
  | { readonly kind: "oversized"; readonly header: XenstoreMessage }
  | { readonly kind: "message"; readonly message: XenstoreMessage; readonly lengthBytes: number };

const NOTHING = new Uint8Array();

/** Looks for a message at the start of `bytes`. */
export function parseMessage(bytes: Uint8Array): Parsed {
  if (bytes.length < xsd_sockmsg.size) return "partial";
  const fields = new Fields(bytes);
  const header = {
    type: fields.u32(xsd_sockmsg.type), requestId: fields.u32(xsd_sockmsg.req_id),
    transactionId: fields.u32(xsd_sockmsg.tx_id), payload: NOTHING,
  };
  const payloadBytes = fields.u32(xsd_sockmsg.len);
  if (payloadBytes > XENSTORE_PAYLOAD_MAX) return { kind: "oversized", header };
  const lengthBytes = xsd_sockmsg.size + payloadBytes;
  if (bytes.length < lengthBytes) return "partial";
  return { kind: "message", message: { ...header, payload: bytes.slice(xsd_sockmsg.size, lengthBytes) }, lengthBytes };
}

/** The wire form of a message. */
export function formatMessage(message: XenstoreMessage): Uint8Array {
  const fields = Fields.zeroed(xsd_sockmsg.size + message.payload.length);
  fields.setU32(xsd_sockmsg.type, message.type).setU32(xsd_sockmsg.req_id, message.requestId);
  fields.setU32(xsd_sockmsg.tx_id, message.transactionId).setU32(xsd_sockmsg.len, message.payload.length);
  fields.bytes.set(message.payload, xsd_sockmsg.size);
  return fields.bytes;
}

/** The NUL-terminated strings at the start of a payload; undefined = the last byte is no NUL. */
export function parseStrings(text: string): readonly string[] | undefined {
  return text.endsWith("\0") ? text.slice(0, -1).split("\0") : undefined;
}
