/**
 * What stands at a PC's reset vector in real mode, FFFF:0000, of a guest that has no BIOS. Linux on hardware-reduced ACPI restarts by EFI, and
 * where there is none by going there (arch/x86/kernel/reboot.c).
 */
import { ACPI_RESET_PORT, ACPI_RESET_VALUE } from "../../abi/power.js";

export const RESET_VECTOR_GPA = 0xf_fff0;

/** mov dx, port; mov al, value; out dx, al; hlt; jmp to the hlt. */
export const RESET_STUB = Uint8Array.of(0xba, ACPI_RESET_PORT & 0xff, ACPI_RESET_PORT >>> 8, 0xb0, ACPI_RESET_VALUE, 0xee, 0xf4, 0xeb, 0xfd);
