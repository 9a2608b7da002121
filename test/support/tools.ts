/** Programs that a machine must have to be installed on, as they are on every Debian. */
export const TOOLS = [
  ...['systemctl', 'journalctl', 'sh', 'install', 'mv', 'cmp', 'sha256sum', 'curl'],
  ...['useradd', 'userdel', 'groupadd', 'groupdel', 'runuser'],
];
