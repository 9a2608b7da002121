/** The unit is built into the executable as text. */
declare module '*.service' {
  const text: string;
  // biome-ignore lint/style/noDefaultExport: how the runtime gives a file's text
  export default text;
}
