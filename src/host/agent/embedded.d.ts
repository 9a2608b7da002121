/** Units and install.sh are built into the executable as text. */
declare module '*.sh' {
  const text: string;
  // biome-ignore lint/style/noDefaultExport: how the runtime gives a file's text
  export default text;
}
declare module '*.path' {
  const text: string;
  // biome-ignore lint/style/noDefaultExport: how the runtime gives a file's text
  export default text;
}
declare module '*.timer' {
  const text: string;
  // biome-ignore lint/style/noDefaultExport: how the runtime gives a file's text
  export default text;
}
declare module '*.socket' {
  const text: string;
  // biome-ignore lint/style/noDefaultExport: how the runtime gives a file's text
  export default text;
}
declare module '*.service' {
  const text: string;
  // biome-ignore lint/style/noDefaultExport: how the runtime gives a file's text
  export default text;
}
