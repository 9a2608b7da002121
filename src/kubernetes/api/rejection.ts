import { AgentError, type ErrorCode } from '../../core/errors.ts';

/** What the API server answered instead of doing what it was asked for. */
export class ApiRejection extends AgentError {
  readonly status: number;
  /** Kubernetes' own word for it, such as `AlreadyExists`. */
  readonly reason: string;
  /** What exactly prevents it: for an eviction, the disruption budget. */
  readonly causes: readonly string[];

  constructor(
    code: ErrorCode,
    message: string,
    told: {
      readonly status: number;
      readonly reason: string;
      readonly causes?: readonly string[];
    },
    hint: string,
  ) {
    const { status, reason, causes = [] } = told;
    const details = { status, reason, ...(causes.length === 0 ? {} : { causes }) };
    super(code, message, { hint, details });
    this.status = status;
    this.reason = reason;
    this.causes = causes;
  }
}

/** Whether something was refused with this HTTP status. */
export function isRejectedWith(status: number, thrown: unknown): boolean {
  return thrown instanceof ApiRejection && thrown.status === status;
}
