/** The ports by which our ACPI tables let a guest power off and restart: registers of hardware-reduced ACPI (ACPI 5.1 §4.8.3.7, §4.8.3.6). */
export const ACPI_SLEEP_CONTROL_PORT = 0x600;
export const ACPI_SLEEP_STATUS_PORT = 0x601;
export const ACPI_RESET_PORT = 0x602;
export const ACPI_RESET_VALUE = 1;
/** SLP_EN, and what the DSDT's \_S5 says for SLP_TYP, bits 4..2. */
export const ACPI_SLEEP_ENABLE = 0x20;
export const ACPI_SLEEP_TYPE_S5 = 5;
