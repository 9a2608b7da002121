/** The API of a test's cluster, asked directly: hundreds of questions take seconds. */

const AT_ONCE = 16;

export interface ApiQuestion {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
  /** Of the body; JSON, and for PATCH a merge patch, when absent. */
  readonly type?: string;
}

export interface ApiAnswer {
  readonly status: number;
  readonly message: string;
}

export interface ClusterApi {
  /** Nothing is kept of what is asked: a dry run. */
  ask(question: ApiQuestion): Promise<ApiAnswer>;
  /** All of them, some at a time; answers in their order. */
  askAll(questions: readonly ApiQuestion[]): Promise<readonly ApiAnswer[]>;
}

/** @param ca PEM; the certificate names the host of the URL */
export function clusterApi(url: string, ca: string, token: string): ClusterApi {
  const ask = async ({ method, path, body, type }: ApiQuestion): Promise<ApiAnswer> => {
    const usual = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const target = new URL(path, url);
    target.searchParams.set('dryRun', 'All');
    const response = await fetch(target, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': type ?? usual },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      tls: { ca },
    });
    const { message } = (await response.json()) as { message?: string };
    return { status: response.status, message: message ?? '' };
  };
  return {
    ask,
    askAll: async (questions) => {
      const answers: ApiAnswer[] = [];
      for (let from = 0; from < questions.length; from += AT_ONCE) {
        answers.push(...(await Promise.all(questions.slice(from, from + AT_ONCE).map(ask))));
      }
      return answers;
    },
  };
}
