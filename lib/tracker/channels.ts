/**
 * What a tracker tells whoever listens, through Node's `diagnostics_channel`. Without a subscriber nothing is made.
 */
import { channel, type Channel } from 'node:diagnostics_channel';
import type { OffsetError } from '../errors.js';
import type { Offset } from '../offset.js';
import type { OffsetTracker } from './offset-tracker.js';

/** What every message says. */
interface SourceMessage {
  /** The tracker that tells it. */
  readonly tracker: OffsetTracker;
  /** The source's name. */
  readonly source: string;
}

/** On `streamweave-offset:commit`: a commit landed. */
export interface CommitMessage extends SourceMessage {
  /** The offset that is committed now. */
  readonly offset: Offset;
  /** How many recorded items it covered. */
  readonly items: number;
  /** From its beginning to its answer, in milliseconds. */
  readonly durationMs: number;
}

/** On `streamweave-offset:commit-error`: a commit failed, after whatever further tries were allowed. */
export interface CommitErrorMessage extends SourceMessage {
  /** The offset that was to be committed. */
  readonly offset: Offset;
  /** What whoever waited for the commit is told. */
  readonly error: unknown;
  /** From its beginning to its failure, in milliseconds. */
  readonly durationMs: number;
}

/** On `streamweave-offset:fenced`: the source was taken over, reset or cleared by another. */
export interface FencedMessage extends SourceMessage {
  /** The refusal, of code `OFFSET_FENCED`. */
  readonly error: OffsetError;
}

/** On `streamweave-offset:behind`: an offset before what is recorded or committed was refused. */
export interface BehindMessage extends SourceMessage {
  /** The offset that was refused. */
  readonly offset: Offset;
  /** The refusal, of code `OFFSET_BEHIND`. */
  readonly error: OffsetError;
}

/** On `streamweave-offset:stuck`: a delivery holds its source's watermark back for longer than `stuckAfterMs`. */
export interface StuckMessage extends SourceMessage {
  /** The place of the delivery. */
  readonly offset: Offset;
  /** How long ago it was handed out, in milliseconds. */
  readonly ageMs: number;
  /** How many deliveries of the source the watermark has not passed, this one among them. */
  readonly inFlight: number;
}

/** A channel whose messages are of one kind, which Node's own types do not tell. */
function typed<Message>(name: string): Channel<unknown, Message> {
  return channel(name) as Channel<unknown, Message>;
}

export const commitChannel = typed<CommitMessage>('streamweave-offset:commit');
export const commitErrorChannel = typed<CommitErrorMessage>('streamweave-offset:commit-error');
export const fencedChannel = typed<FencedMessage>('streamweave-offset:fenced');
export const behindChannel = typed<BehindMessage>('streamweave-offset:behind');
export const stuckChannel = typed<StuckMessage>('streamweave-offset:stuck');
