/** Units are built into the executable as text. */
declare module '*.service' {
  const text: string;
  export default text;
}
