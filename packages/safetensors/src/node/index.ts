export { SafetensorsWriter } from "./writer.ts";
export { fileSource } from "@quern/tensor/node";
