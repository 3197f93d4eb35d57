/** The public face of device: the back ends of the guest's PV devices, and its local APICs. */
export type { ConsoleOptions } from "./console/console-backend.js";
export { ConsoleBackend } from "./console/console-backend.js";
export type { BackendDomain, BackendOptions, BackendParts } from "./device-backends.js";
export { DeviceBackends } from "./device-backends.js";
export type { Grant } from "./grants/grants.js";
export { openGrantedPage, readGrant } from "./grants/grants.js";
export type { DeviceClock, DeviceDomain } from "./interfaces.js";
export { IO_APIC_GPA, IO_APIC_SIZE, IoApic, type SendInterrupt } from "./io-apic/io-apic.js";
export { InterruptBus } from "./local-apic/interrupt-bus.js";
export type { ApicSignals, LocalApicOptions } from "./local-apic/local-apic.js";
export { LocalApic } from "./local-apic/local-apic.js";
export { Rtc, RTC_PORT, RTC_PORT_COUNT } from "./rtc/rtc.js";
export { SerialBackends, type SerialBackendOptions } from "./serial/serial-backends.js";
export { SERIAL_PORT_REGISTERS, SERIAL_PORTS, type SerialPort } from "./serial/serial-ports.js";
export { Uart, type UartSignals } from "./serial/uart.js";
export type { StoreChange, StoreError } from "./xenstore/store-view.js";
export { Store } from "./xenstore/store.js";
export { XenstoreServer } from "./xenstore/xenstore-server.js";
