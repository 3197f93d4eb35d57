/**
 * The packed forms of makeCalls(4096), made by xz 5.4 (`--check=crc32 --x86 --lzma2=dict=64KiB`, the same without --x86 and with
 * `--check=none`), zstd 1.5 (`-19`) and lz4 1.9 (`-l -9`).
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { findPayloadFormat } from "./index.js";
import { decompressLz4Block, decompressLz4Legacy } from "./lz4.js";

const packedByXzX86 =
  "/Td6WFoAAAFpIt42AgEEACEBCADSuXTL4A//A2hdAHQALIAARjZ8G2egRPVOo9n7zvJpne/rS9dMQTdYSEkaxNGiB24oGatf8W2QI9qxa/gdKNpdZOoi" +
  "Bfh4MnUBnijBu8v4W8Lr6VfG3EZ9ShwUXyLNPDGLL8ZCARzDVV9NZeogj4ndD2RbuQ4d1TmimVH8DKI7W0wcizbMlMWvxJH37fRSw2AY7IA4PkDwDJSx" +
  "v5YZ95/X6prmHVpe37ctdtH71/G4lOngVbjPX6w6xZ91XX1Jbx3hYiNqwuTRH0FUngIjpOkbfVgjz3tV0FCHTxd42+jShQI63PMDUY0BPcrIpkM2bOiA" +
  "w+2dM0u3hjkWRksFZ/pwOV1fREgj+zAllK6/zFKc4GYaO5m2z81IM3zs3mqUHLu9opbUY381uVrk8/uvk97Xyfsu9PjXGn9d2w7wed9b8b4Rm3oq4MaA" +
  "aIHWQujVVOxgV3ytQcmXS0FSwlDp/se1a2kr8kIibPeljL7hpmDyaaVwxhjLRAvItHjOSK9psEaGnOvPZlXW4hCH+h1SoSIqjhGZzgcc4Rdpq8XUe6E3" +
  "g+29YEEy+s4iqqfyhLgI9tgvYyMRdVGfGtkoqgsT7XIKcFWstsYsGe4htN7b7MKyvDZe89bOTzL0ipWvyCBcStAd9+iryoaE09tIfCWE1H2zRSUVdp7h" +
  "iP0Mknb3sp4Sgr44sISas7ztnLVWVDV2BntsA91fW0SHIW681wy9mo1zw5e6eDHaEh0MXjzNimTUz4kUiz6fKI8ENb1OZB7WmwdCe5k2Zdol5fMVTh4i" +
  "LsbWr4kceoSQnBQMx9GPgSrEcq6b5sB3c1ZEQ1CZGqBtcR1TajtyTVG3P71v/0z1iKy7uhGcI011EMXhcm2ULVW7GLpiUbPFfXsoWh6H50v9KrWVaoWC" +
  "1YZmSAdvAh13rvGfovMVALLif9gyXk14b+zQ+iMpcOu9VGpIYtcx/KCZjcaQdXhIQoEctpx3Ld2++prV3aTYcbw1Gq6QaPPuifOSccyPKhg5xox0ADg7" +
  "a30dfiW879psc7HwiAqJTVSREvuWLMZ2kh8/XzqIkGuYkB4ySvEkoWiF7Hyvctnym5HS5FpwrVwuyDGFhToq2KiuQYML5clrK9SVyw337z5SAw/0qfMR" +
  "nHEVTTDA+E5Ikmuvxa9cx1E9CwV40H/QqcCBV7o8xFcAABUSyagAAYAHgCAAAM7s0bo+MA2LAgAAAAABWVo=";
const packedByXz =
  "/Td6WFoAAAD/EtlBAgAhAQgAAADYDyMT4A//A1JdAHQ+2+AEYvmHhfZPWWVbJXkZDE6R2J8zhSxUPoILywUlEgmoU/X250Lh/3ED3ST8pdiwJgRfoVLe" +
  "f2IWdgWjAAgU1/pdyDocLiUcOh4Q8DI/0frC18jNWT2Gl1NAXd7eRx+geYZQlDowDr6INvSj84eHNUoIJt0mh/p6HTdMLQVfakbUwbgKtY7i2iBViJtY" +
  "ANwhc8rUUb/sxqF/wPm/vgsZ3O7ftZe5MTfw0njG0DXCxkGm6cLsrlhTMG2rppFy8kc263oO2EZYgmZ6xOV4H3Ku+1zZCz6xD8y/UsLdgTP1qBDL/dPw" +
  "tjLBrQvQCiAZQnXcAe873ORxd2X0tyD+LU0Bm1MxhMjcVcid4fMN6zqNhEgRI8crwj7SePnCOiWmfsu4oWr2CX5OPAPl4msTdsnttaj/2AhZz0H8iqz1" +
  "x5YuIMHyiMS2wXbG4yQWLnKG2l478Aih3gKQksNjAdWv2vZjGzGUXS+WYUFNXmPD8XQfXrFKOiib/XEb/mmiFzjY8sSCOcnSanu8XguUSpX9jP6PaWBU" +
  "UU6YZjEqvGbF1PnI0Ki8NG/0OgP4FIQMl41VA2r/wPRgay4mv2UyzpJ5tcJEAgjuAheT7ftLeharYAD29gUKidxoU/6tZ0MCkm6ip+tIYjEXlqMtUi8w" +
  "AF86IVsk/U5d/rwCnREV7OpnnIgT5FdGNwcpuUXxNF5FWAMtjB48H5BbTiT0Tv4ce779zDfvvugVZVkuL1qlRGkkCvnHrfmsfktd+DeINEsYZTsVdoit" +
  "8CrSHtL6SMYAzrpoRGj0zpHscZQPMrhJbgN3lWNS+/XZ4wWifQVb3ap72M9zuxxfxoze5IdR9nLuFS+YR4h5vIAr4MVjGZOXx+DVaK7vtrn9ONri+8Hm" +
  "DEhszbBy7ECVvugLi9GOjXmeJokaZvI7GvY62iOy8XSErZK7+LaG54IoI9BL23qaQVVjW1XMQTV6uly2P7HODzCa6/J33dgNhyIgHlgzIFDus9CaciL3" +
  "laPkZ9n5jE+K6/df80NtHom4KUPjYMONUaiBEFi/6dU6Z4LokxC0YHGjTWkq4aqHO1aOXw8wTEVV1UjLe3mAJCvEdXSmiIcXCydR9HsHcIqVypHE9KvQ" +
  "zGSUYuXlU74XwAAAAAAAAeYGgCAAADkpHFmoAAr8AgAAAAAAWVo=";
const packedByZstd =
  "KLUv/WQADx0dABaliSEQ2NQBII0Z2ZrRlapg1FClkgqrt+SSNctS7LLk8izhxO57AIAAhAAqzhTv11HQE9XEvy1xLSaRR2gROwQHEX4QPYwdSA7lhlPD" +
  "X89AMfzXC9bCrbhCpqAn/G8JPEIIQXwwOiDdygYng7/WF/xTBTWBRfB/KT6QDfzrApsAH/AfChADjAD+28g2ttJ8INsD3UygGQc8zTcg8INu5ptBOSDc" +
  "dzOimbEMSaYcc4rZ62EomPrFerkad8lc/vWWrYVnCbGIV0YrZJWSyjmFr0uhUSoU++Rm7OQ/N9FM9hKuJEwiIvkfj5BGyiInkb4+hAqpQSyQi//xj+xD" +
  "99g8+I5Qh5hjxEHeKG2ccb3D0RqVhp3xfy+WkWNoGPsFdxG2EN9GFuSKMtmULrVJ8VGhKDHU3QiK/FR6OjvddU50U9VkM10RY8qXtCW8XYlTCieJksZI" +
  "JKTy0enog3i9EWVUF1lFN8SJMiJ9aBvihUJC4qBREBmoBHTKmXn9D/VT+1g+l+M9WY/Os/HwO6Edsc5Ih5xTyjnj6HU49E11Y9vcjdnkNVrN/07D0YRn" +
  "Ag98eq3+Wb/bcV/m03tbj+eFeOLdaEfWlXTn3Fy3RqtVanbaPbG0HNTmjsahhc9EZ2Mzklm57FRG15NRZPWYNXZLXCwT08O2MB4sBCb+Gn2RvUpe5666" +
  "rovmqrjsrUtiW7mWprVncVlhLBGW3fiKdFW2OlnZ9VVUVU1lUd0RnwqCkaiiqbN9dgNS1JOkAyINiIC4gvkURm4S1Q4LC9dATNXUDNMGya3EGmUZ6CnT" +
  "jIxqgofDjzp3WSuxhmBdeeTGaQHNifUN6iD9U8iBAoxBn8aTNihkdAs4uEHkjocKUJkCZhkg+I9BamPKmFzEARxIsDWzeTAwtOgEZaJ4QaQwqYw4uUgH" +
  "4AlB/ZuZMlSGRIkb74uCIaTnUAQ0pV7/Z5ibH2qyxBQc2V3TW1lUiLRQmUmkDp/gFAEqwJy7RwBzmw4OhmKghHU7tJTYnFsh+RzZy0YM02IFTDciB8eQ" +
  "CcknMqDA4qmTrDXjBpjRg8gp0amKVEtx4TJ2v07qMQxz6xtn0zBhuhmcRHyQpCMAdpPmRrUR4x/pqhZCkCNhwS9JQcDgFRB9xqSI0B40Pg5GtPSeQM56" +
  "NQCFDATFyTlNMdKFpKZYvjYYZgMeDyG8Dir5jkMRjuwCxtOJAJ4nPwEVWVjktBDLjcREcCIy59epQDQOuGcgP2yBlNZ0w61KF/wE";
const packedByLz4 =
  "AiFMGGwHAADwBej7/z8AkOno/+gS6f8AADTo6wBAEAC2AOgSAP8BAP/o2wEQAHMCADToywJAMACVAP8DAP/ou/8/IABVBAA06KtAAIbp/wUA/+ibATAA" +
  "ZgYANOiLAlAAVwcA/+h7QABmCAA06GsAMABmCQD/6FsBUABXCgA06EtAAFULAP/oO8AAdwD/DAA06CvAAFcNAP/oG8AAVQ4ANOgLwACG6f8PAP/o+/6A" +
  "ABAQAAEHkAAQEQABB5AAEBIAAQdQABATAAEFQAAw6f8UAAEHkAAQFQABB5AAEBYAAQdAABAXAAEW/jAAEBgAARb/UAAQGQABB0AAEBoAAQdQARAbAAEH" +
  "wAAQHAABB8AAEB0AARYA8AAQHgABB4AAEB8AARb9MAAQIAABB5AAECEAAQdQABAiAAEH4AEQIwABFv0wABAkAAEHkAAQJQABB0AAECYAAQdQARAnAAEW" +
  "/fAAECgAAQdAABApAAEHUAEQKgABBxABECsAAQfAABAsAAEW/tACEC0AAQeAABAuAAEHQAAQLwABFvxgABAwAAEHUAAQMQABB+ABEDIAAQeQABAzAAEW" +
  "/DAAEDQAAQdAABA1AAEHUAEQNgABB+ABEDcAAQdAABA4AAEHUAEQOQABBxABEDoAAQfQABA7AAEW/PAAEDwAAQeAABA9AAEHQAAQPgABB8AAED8AARb7" +
  "IAAQQAABFvygABBBAAEHkAAQQgABB1AAEEMAAQdAABBEAAEHUAEQRQABB+ABEEYAAQdAABBHAAEW+zAAEEgAAQcQARBJAAEH0AAQSgABB+ABEEsAAQeA" +
  "ABBMAAEHQAAQTQABB8AAEE4AAQeAABBPAAEW+qAAEFAAAQeQABBRAAEHUAAQUgABB5AAEFMAARb6MAAQVAABFvtQABBVAAEHQAAQVgABB5AAEFcAARb6" +
  "IAAQWAABB9AAEFkAAQfgARBaAAEHgAAQWwABB0AAEFwAAQfAABBdAAEHgAAQXgABB5ABEF8AARb5MAAQYAABB1AAEGEAAQeQABBiAAEH4AEQYwABFvlQ" +
  "ABBkAAEHQAAQZQABB5AAEGYAAQeQABBnAAEW+RAAEGgAARb68AAQaQABB4AAEGoAAQdAABBrAAEHwAAQbAABB4AAEG0AAQeQARBuAAEHwAAQbwABFvgw" +
  "ABBwAAEHkAAQcQABB+ABEHIAAQdQABBzAAEHQAAQdAABB5AAEHUAAQeQABB2AAEH0AAQdwABFvjwABB4AAEHgAAQeQABB0AAEHoAAQdQARB7AAEHgAAQ" +
  "fAABB5ABEH0AAQfAABB+AAEHgAAQfwABFvcQABCAAAEW+DAAEIEAAQdQABCCAAEHkAAQgwABFvcwABCEAAEHkAAQhQABB9AAEIYAAQfgARCHAAEHgAAQ" +
  "iAABB0AAEIkAAQdQARCKAAEHgAAQiwABFvegABCMAAEHwAAQjQABB4AAEI4AAQdAABCPAAEW9jAAEJAAAQdQABCRAAEHkAAQkgABB5AAEJMAARb2IAAQ" +
  "lAABB9AAEJUAAQfgARCWAAEHkAAQlwABB0AAEJgAAQdQARCZAAEHgAAQmgABB5ABEJsAAQfAABCcAAEHgAAQnQABB0AAEJ4AAQfAABCfAAEW9VAAEKAA" +
  "AQeQABChAAEHkAAQogABB1AAEKMAARb1EAAQpAABFvbwABClAAEHkAAQpgABB0AAEKcAARb1YAAQqAABB4AAEKkAAQeQARCqAAEH4AEQqwABB4AAEKwA" +
  "AQdAABCtAAEHwAAQrgABFvhQABCvAAEW9DAAELAAAQeQABCxAAEHUAAQsgABB9AAELMAARb08AAQtAABB5AAELUAAQdAABC2AAEHkAAQtwABB4AAELgA" +
  "AQeQARC5AAEH4AEQugABB4AAELsAAQdAABC8AAEHwAAQvQABFvZQABC+AAEHQAAQvwABFvMwABDAAAEHUAAQwQABB9AAEMIAAQfgARDDAAEW8yAAEMQA" +
  "AQdAABDFAAEHkAAQxgABBxABEMcAARbzoAAQyAABFvQwABDJAAEHgAAQygABB0AAEMsAAQfAABDMAAEW9FAAEM0AAQdAABDOAAEHUAEQzwABFvIgABDQ" +
  "AAEH0AAQ0QABB+ABENIAAQdQABDTAAEHQAAQ1AABB5AAENUAAQcQARDWAAEH4AEQ1wABFvIwABDYAAEHgAAQ2QABB0AAENoAAQdQARDbAAEW8lAAENwA" +
  "AQdAABDdAAEHUAEQ3gABB8AAEN8AARbxEAAQ4AABFvLwABDhAAEHUAAQ4gABB5AAEOMAARbxYAAQ5AABBxABEOUAAQfgARDmAAEHkAAQ5wABB4AAEOgA" +
  "AQdAABDpAAEHUAEQ6gABB+ABEOsAAQdAABDsAAEHUAEQ7QABB8AAEO4AAQfAABDvAAEW8PAAEPAAAQdQABDxAAEHkAAQ8gABB5AAEPMAARbwIAAQ9AAB" +
  "FvGgABD1AAEHkAAQ9gABB5AAEPcAAQdAABD4AAEHUAEQ+QABB+ABEPoAAQdAABD7AAEW8DAAEPwAAQfAABD9AAEHwAAQ/gABBcAAUOn//wD/";

/** Calls to four functions, between them bytes that look like the beginnings of calls. */
function makeCalls(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (let n = 0; at + 16 <= length; n++) {
    const relative = 0x40_0000 + (n % 4) * 0x100 - (at + 5);
    bytes.set([0xe8, relative, relative >> 8, relative >> 16, relative >> 24, 0x90], at);
    bytes.set([0xe9, 0xe8, n % 3 ? 0x00 : 0xff, 0xe8, 0x12, n % 5 ? 0x00 : 0xe9, 0xff, n, 0x00, n % 2 ? 0xff : 0x34], at + 6);
    at += 16;
  }
  return bytes;
}

const fixtures = [
  ["XZ", "XZ with the x86 branch filter", packedByXzX86],
  ["XZ", "XZ without filter and check", packedByXz],
  ["zstd", "zstd", packedByZstd],
  ["LZ4", "LZ4", packedByLz4],
] as const;

async function unpack(packed: Uint8Array, length: number): Promise<Uint8Array> {
  const output = new Uint8Array(length);
  await findPayloadFormat(packed)!.unpack!(packed, output);
  return output;
}

for (const [format, name, text] of fixtures) {
  const packed = Buffer.from(text, "base64");

  test(`${name} unpacks to what was packed`, async () => {
    assert.equal(findPayloadFormat(packed)?.name, format);
    assert.deepEqual(await unpack(packed, 4096), makeCalls(4096));
  });

  test(`${name} is refused when it is cut short, or gives another length than expected`, async () => {
    for (const length of [8, 30, 200, packed.length - 40]) {
      await assert.rejects(async () => unpack(packed.subarray(0, length), 4096), `${length} bytes must be refused`);
    }
    await assert.rejects(async () => unpack(packed, 4095));
    await assert.rejects(async () => unpack(packed, 4097));
  });

  test(`${name} with a byte changed ends, whatever comes out`, async () => {
    for (let at = 4; at < packed.length; at += 13) {
      const changed = Uint8Array.from(packed);
      changed[at]! ^= 0x41;
      await unpack(changed, 4096).catch(() => undefined);
    }
  });
}

test("XZ with its checksum finds every changed byte of the data", async () => {
  const packed = Buffer.from(packedByXzX86, "base64");
  for (let at = 24; at < packed.length - 40; at += 29) {
    const changed = Uint8Array.from(packed);
    changed[at]! ^= 0x02;
    await assert.rejects(async () => unpack(changed, 4096), `a change at ${at} must be found`);
  }
});

test("an LZ4 match may overlap what it writes, and reach back over many literals", () => {
  const output = new Uint8Array(120);
  // One literal 7, then a match of 4 + 15 + 80 bytes, 1 back; then 3 literals.
  const block = Uint8Array.from([0x1f, 7, 1, 0, 80, 0x30, 1, 2, 3]);
  assert.equal(decompressLz4Block(block, output, 0, 120), 103);
  assert.deepEqual(output.subarray(98, 103), Uint8Array.from([7, 7, 1, 2, 3]));
});

test("an LZ4 match that reaches before its block, or behind the output, is refused", () => {
  const output = new Uint8Array(100);
  const attempt = (bytes: number[], start = 10) => () => decompressLz4Block(Uint8Array.from(bytes), output, start, 100);
  assert.throws(attempt([0x10, 7, 2, 0, 0x00]), /match out of range/);
  assert.throws(attempt([0x10, 7, 0, 0, 0x00]), /match out of range/);
  assert.throws(attempt([0x1f, 7, 1, 0, 90, 0x00]), /match out of range/);
  assert.throws(attempt([0xf0, 255]), /literal length cut short/);
  assert.throws(attempt([0x50, 1, 2]), /literals out of range/);
  assert.throws(attempt([0x10, 7, 1]), /offset cut short/);
  assert.throws(attempt([0x10, 7, 1, 0]), /ends without its last literals/);
});

test("an LZ4 frame with a wrong block length is refused", () => {
  const frame = Buffer.from(packedByLz4, "base64");
  for (const length of [0, 1, frame.length, 0xffff_ffff]) {
    const changed = Buffer.from(frame);
    changed.writeUInt32LE(length, 4);
    assert.throws(() => decompressLz4Legacy(changed, new Uint8Array(4096)), /LZ4/);
  }
});
