/**
 * Names of fields and of environment variables whose values nobody should see. The comments name
 * the software that reads them: images of databases and brokers, frameworks, cloud libraries.
 */

/** At the end of a name, in any spelling: `DB_PASSWORD`, `dbPassword`, `db-password`. */
const ENDINGS: readonly string[] = [
  // docker-library/docs: postgres, mysql, mariadb, mongo, redis, rabbitmq.
  ...['password', 'passwd', 'pass', 'pwd', 'passphrase'],
  // OAuth 2.0 (RFC 6749): client_secret; Django, Rails, Laravel: SECRET_KEY, SECRET_KEY_BASE.
  ...['secret', 'secretkey', 'secretkeybase'],
  // Sentry, libpq, Prisma, SQLAlchemy, ADO.NET and Azure's libraries.
  ...['dsn', 'connectionstring', 'databaseuri', 'databaseurl'],
  // MongoDB, Redis, RabbitMQ, Kafka, Celery: the credentials stand in the address.
  ...['mongouri', 'mongourl', 'mongodburi', 'mongodburl', 'redisuri', 'redisurl'],
  ...['amqpuri', 'amqpurl', 'rabbitmquri', 'rabbitmqurl', 'brokeruri', 'brokerurl'],
  // Slack, Discord, Teams: who knows the address may post.
  ...['webhookurl', 'webhook'],
  // RFC 6265, Erlang's and RabbitMQ's cookie; RFC 9110 section 11.
  ...['cookie', 'cookies', 'authorization', 'auth'],
  // Hashing and signing: Rails, WordPress, Laravel's APP_KEY, JWT libraries.
  ...['salt', 'pepper', 'signingkey', 'encryptionkey', 'masterkey', 'hmackey', 'appkey'],
  ...['apikey', 'privatekey', 'accesskey', 'sessionkey', 'sshkey', 'licensekey', 'sharedkey'],
  // RFC 6238, RFC 4226.
  ...['otp', 'totp', 'mfa', 'recoverycodes'],
];

/** Anywhere in a name: AWS_SECRET_ACCESS_KEY, GITHUB_TOKEN_FILE_CONTENT, GOOGLE_CREDENTIALS_JSON. */
const WORDS: readonly string[] = ['secret', 'token', 'credential', 'passphrase', 'privatekey'];

/** Names that only look secret: they say where a secret is, not what it is. */
const NO_SECRETS: ReadonlySet<string> = new Set([
  ...['secretname', 'secretkeyref', 'secretref', 'imagepullsecret', 'imagepullsecrets'],
  ...['automountserviceaccounttoken', 'serviceaccounttoken'],
]);
/** A variable such as `JWT_SIGNING_KEY` or `app-key`; not `key`, nor `topologyKey` of Kubernetes. */
const KEY_OF_SOMETHING = /[_-]key$/i;

export function isSecretName(name: string): boolean {
  const plain = name.replaceAll(/[^A-Za-z0-9]+/g, '').toLowerCase();
  return (
    !NO_SECRETS.has(plain) &&
    (KEY_OF_SOMETHING.test(name) ||
      ENDINGS.some((ending) => plain.endsWith(ending)) ||
      WORDS.some((word) => plain.includes(word)))
  );
}
