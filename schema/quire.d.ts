// What Quire's host and its faces say to each other. Made by `cargo xtask schema`: do not edit.
// Later versions may add members, and values of named lists: skip what you do not know.

/** A session in a list of what agents need. */
export type Agent = {
  /** What a list of sessions shows of it. */
  head: SessionHead;
  /** What it needs. */
  standing: Standing;
  /** What it does, or why it is so. They may be a model's words: clean them before they are shown. */
  detail: string;
  /** Its model. */
  model: string;
  /** The call that a person is asked about, if one is. */
  asked?: CallId;
  /** How many faces show it. */
  faces: number;
};

/** A person's answer. */
export type Answer =
  /** Run this one. */
  | { answer: "allow_once"; }
  /** Run this one and whatever has the approval's prefix, for this session. */
  | { answer: "allow_always"; }
  /** Do not run it. */
  | { answer: "deny";
      /** Told to the model. */
      reason: string;
    };

/** A question to a person about one tool call. */
export type Approval = {
  /** Exactly what would run: the command line, or the tool and its target. */
  action: string;
  /** Why it is asked: which rule, which sandbox limit. */
  reason: string;
  /** What "always" would allow: a command prefix, in words. Empty when it cannot be remembered. */
  prefix?: string[];
  /** What it would touch, in short lines, as far as it is known without looking. */
  touches?: string[];
  /** What it would make of files, as far as the call itself says it. */
  changes?: Proposed[];
};

/** When a person is asked. */
export type ApprovalMode =
  /** For every call that may change something. */
  | "ask"
  /** To leave the sandbox. With the sandbox off never: the person has said that something else confines the commands. */
  | "auto"
  /** Never; what would ask is refused. */
  | "never";

/** A blob: the lowercase hex SHA-256 of its bytes. */
export type BlobId = string;

/** A tool call of a session, counted from 1; unlike the provider's id it never repeats. */
export type CallId = number;

/** What is to happen to a call, decided before the kernel sees the reply. */
export type CallPlan = {
  /** The call. */
  call: CallId;
  /** May it run beside others? */
  lane: Lane;
  /** Run, ask or refuse. */
  verdict: Verdict;
};

/** In what way a file changed. */
export type ChangeKind =
  /** It is new. */
  | "added"
  /** Its content changed. */
  | "modified"
  /** It is gone. */
  | "deleted";

export type Changes = {
  session: SessionId;
  since: Point;
};

/** A check of a goal that was run. */
export type CheckRun = {
  /** The command. */
  command: string;
  /** How it ended; absent when it could not run. */
  end: CommandEnd | null;
  /** The last of what it printed. */
  output: string;
};

/** Why files could not be looked at, kept or taken back, and what to do, in words for a person. */
export type CheckpointError = string;

/** An effort that the kernel chose for one request. */
export type ChosenEffort = {
  /** The effort. */
  effort: Effort;
  /** Why, in a few words. */
  reason: string;
};

/** What can go wrong for a face. */
export type ClientError =
  /** The store refused. */
  | { store: StoreError }
  /** The session is not open in this process. */
  | { not_open: SessionId }
  /** The session's task died; its journal is intact. */
  | { died: {
      /** The session. */
      session: SessionId;
      /** What killed it. */
      reason: string;
    } }
  /** The settings cannot work. */
  | { settings: string }
  /** What is asked cannot be done as the session stands. */
  | { refused: string }
  /** Files could not be looked at or taken back. */
  | { files: CheckpointError }
  /** The process that hosts the session cannot be reached. */
  | { unreachable: string };

/** How a command ended that ran. */
export type CommandEnd =
  /** It exited. */
  | { end: "exited";
      /** Its exit code. */
      code: number;
    }
  /** A signal killed it. */
  | { end: "signalled";
      /** Which. */
      signal: number;
    }
  /** It used more memory, processes or time than its limits allow, and was killed. */
  | { end: "over_limit"; }
  /** It took longer than the call allowed, and was killed. */
  | { end: "timed_out";
      /** How long that was, in seconds. */
      after_s: number;
    };

/** A change of the context: some items are replaced, some results become one line. */
export type Compaction = {
  /** How it was made. */
  kind: CompactionKind;
  /** Why it was made. */
  cause: CompactionCause;
  /** The items that are replaced. */
  replaced: Span;
  /** What stands in their place. */
  head: Item[];
  /** Calls whose results become one line that says how to get them back. */
  cleared?: CallId[];
  /** What is appended behind everything. */
  tail?: Item[];
  /** Tokens of a request before it, as estimated. */
  tokens_before: number;
  /** Tokens of a request after it, as estimated. */
  tokens_after: number;
};

/** Why a compaction was made. */
export type CompactionCause =
  /** The context reached the size at which it is compacted. */
  | "threshold"
  /** The provider said that the context does not fit. */
  | "overflow"
  /** A person asked for it. */
  | "asked";

/** How a compaction was made. */
export type CompactionKind =
  /** Old and large tool results became one line each; no model was asked. */
  | "clear"
  /** The model summarised what the ledger does not hold. */
  | "summary"
  /** The provider did it in its own way. */
  | "provider"
  /** Older items were left out without a summary, because no summary could be had. */
  | "cut";

/** Who compacts the context. */
export type CompactionMode =
  /** Quire: old results first, then a summary by the model. */
  | "own"
  /** The provider where it can, when a compaction is due; Quire where it cannot or fails. */
  | "provider"
  /** The provider by itself in the middle of a request, where it can; Quire where it cannot. */
  | "provider_threshold"
  /** Nobody, until the context does not fit any more. */
  | "off";

/** Something that happened to the context as a whole. */
export type CompactionStep =
  /** A person wants it; it is done at the next step boundary. */
  | { step: "asked";
      /** What the summary should dwell on; may be empty. */
      focus: string;
      /** Which part of the context it is about. */
      part: ContextPart;
    }
  /** It was done: every later request carries the new context. */
  | { step: "done";
      /** How. */
      compaction: Compaction;
    }
  /** One way of doing it failed; another one follows. */
  | { step: "failed";
      /** Which way. */
      kind: CompactionKind;
      /** What went wrong, in words. */
      reason: string;
    }
  /** The last compaction was taken back: the context is what it was before it, with what came since. */
  | { step: "undone"; };

/** What is to become of files that a person changed since the agent did. */
export type Conflicts =
  /** Nothing is done to any file; the conflicts are told. */
  | "ask"
  /** They stay as they are. */
  | "keep"
  /** The agent's changes are taken out of them; where those and the person's meet, both stand in the file between marks. */
  | "merge"
  /** They become what they were, and the person's changes are lost from the workspace. */
  | "overwrite";

/** A piece of a message. */
export type Content =
  /** Text. */
  | { kind: "text";
      /** The text. */
      text: string;
    }
  /** An image. */
  | { kind: "image";
      /** `image/png`, `image/jpeg`, `image/gif` or `image/webp`. */
      media_type: string;
      /** The bytes in standard base64. */
      data: string;
    };

/** How large the context may grow, in tokens, and what happens then. */
export type ContextLimits = {
  /** What prompt and answer may have together: the model's window. */
  window: number;
  /** What is kept free for an answer. */
  answer: number;
  /** Size of a prompt at which the context is compacted; at most `window - answer`. */
  compact_at: number;
  /** How much of the newest steps stays as it is. */
  keep: number;
  /** Who compacts. */
  compaction: CompactionMode;
};

/** Which part of the context a compaction is about. */
export type ContextPart =
  /** Everything but the newest steps. */
  | { part: "older"; }
  /** What stands before a message. */
  | { part: "up_to";
      /** The message, which stays. */
      message: MessageId;
    }
  /** A message and everything after it. */
  | { part: "from";
      /** The message. */
      message: MessageId;
    };

/** When a message reaches the model. */
export type Delivery =
  /** At the next step boundary: with the next request to the model. */
  | "steer"
  /** After the turn, as a turn of its own. */
  | "queue"
  /** With the next request to the model, whenever that is: it starts no turn, and keeps none going. */
  | "note";

/** A live fragment: droppable, never stored, true only until the event that completes it. */
export type Delta =
  /** More of the answer's text. */
  | { type: "text";
      /** The words. */
      text: string;
    }
  /** More of the thinking's text. */
  | { type: "thinking";
      /** The words. */
      text: string;
    }
  /** The model is writing a tool call. */
  | { type: "call_writing";
      /** The tool's name. */
      name: string;
      /** Bytes of arguments so far. */
      bytes: number;
    }
  /** A running tool printed something. */
  | { type: "tool_output";
      /** The call. */
      call: CallId;
      /** What it printed, as text. */
      text: string;
    }
  /** An attempt failed and another follows. Text and thinking shown for this request are void. */
  | { type: "retrying";
      /** Why and how long. */
      retry: Retry;
    };

/** How hard to think; each provider's own ladder is mapped from it. */
export type Effort =
  /** As little as possible. */
  | "low"
  /** Less than usual. */
  | "medium"
  /** The usual. */
  | "high"
  /** More than usual. */
  | "xhigh"
  /** As much as the model can. */
  | "max";

/** Who decides how hard to think at each step. */
export type EffortChoice =
  /** The session's effort at every step; a model that thinks adaptively decides within it. */
  | "fixed"
  /** The kernel, step by step, for a model that does not think adaptively by itself. */
  | "by_step"
  /** The kernel, turn by turn: a change of the effort costs this model's prompt cache. */
  | "by_turn";

/** A watch that is over. */
export type Ended = {
  watch: number;
  /** Why, for a person. */
  reason?: string;
};

/** One durable fact. A session is the fold of its events and nothing else. */
export type Event =
  /** The session began, or its settings changed. */
  | { type: "configured";
      /** The settings from here on. */
      settings: Settings;
    }
  /** What opens every request changed, or tools came late: the first event of its kind sets it. */
  | { type: "prefix_set";
      /** What every request starts with from here on. */
      prefix: Prefix;
      /** Why it changed. Other bytes at the beginning cost the provider's cache; late tools do not. */
      reason: string;
    }
  /** A person's message was accepted. It reaches the model with `Event::MessageDelivered`. */
  | { type: "message_accepted";
      /** The message. */
      message: MessageId;
      /** When it is to be delivered. */
      delivery: Delivery;
      /** What it says. */
      content: Content[];
      /** How hard to think in the turn that it opens; the session's own effort when absent. */
      effort?: Effort;
    }
  /** An accepted message became part of the context, here. */
  | { type: "message_delivered";
      /** The message. */
      message: MessageId;
    }
  /** An accepted message was taken back before it reached the model. It never will. */
  | { type: "message_withdrawn";
      /** The message. */
      message: MessageId;
    }
  /** A turn began. */
  | { type: "turn_started";
      /** The turn. */
      turn: TurnId;
    }
  /** A request to the model was about to be sent. */
  | { type: "model_called";
      /** The request. */
      request: RequestId;
      /** Items of context in it. */
      items: number;
      /** What it is for. */
      purpose?: Purpose;
      /** Tokens that its prompt is estimated to have; 0 where nobody estimated. */
      estimate?: number;
      /** The effort that was chosen for it alone, and why. */
      chosen?: ChosenEffort;
      /** How long the session had worked until then, in milliseconds; waiting for a person is not work. */
      worked_ms?: number;
    }
  /** The model answered. Its items enter the context together. */
  | { type: "model_replied";
      /** The request it answers. */
      request: RequestId;
      /** The model that served it, as the provider names it. */
      model: string;
      /** What it said, in order. */
      items: Item[];
      /** What is to happen to each tool call in `items`. */
      plans: CallPlan[];
      /** Why it stopped. */
      stop: TokenStop;
      /** What it used, lost attempts included. */
      usage: Usage;
      /** What that cost; absent when no price is known, or not all tokens were reported. */
      cost: Money | null;
      /** Attempts that failed before this one. */
      retries: Retry[];
    }
  /** A request failed for good, was cancelled, or was lost in a crash. */
  | { type: "model_failed";
      /** The request. */
      request: RequestId;
      /** What went wrong. */
      error: ModelError;
      /** Tokens the provider reported before it failed; they were paid for. */
      usage: Usage;
      /** What they cost; absent when no price is known. */
      cost: Money | null;
      /** Attempts that failed before the last one. */
      retries: Retry[];
    }
  /** A person was asked about a call. */
  | { type: "approval_asked";
      /** The call. */
      call: CallId;
      /** What is asked. */
      approval: Approval;
    }
  /** The question was answered; the first answer wins. */
  | { type: "approval_answered";
      /** The call. */
      call: CallId;
      /** The answer. */
      answer: Answer;
      /** Nobody answered it: the answer to this other call made a rule that allows it. */
      ruled_by?: CallId;
    }
  /** A tool was about to run. It never runs again, whatever happens. */
  | { type: "tool_started";
      /** The call. */
      call: CallId;
    }
  /** A call has its result. */
  | { type: "tool_ended";
      /** The call. */
      call: CallId;
      /** The result. */
      outcome: ToolOutcome;
    }
  /** The plan that a person sees changed. */
  | { type: "plan_set";
      /** All of it. */
      steps: PlanStep[];
    }
  /** A background job is running. */
  | { type: "job_started";
      /** The job. */
      job: JobId;
      /** The call that started it. */
      call: CallId;
    }
  /** A background job ended. */
  | { type: "job_ended";
      /** How. */
      end: JobEnd;
    }
  /** The harness told the model something. */
  | { type: "noticed";
      /** What it was told. */
      text: string;
    }
  /** Someone asked for the turn to stop. Nothing new starts after this. */
  | { type: "interrupt_accepted";
      /** Who or what: `person`, `timeout`, `signal`. */
      cause: string;
    }
  /** The context as a whole changed, or is about to. */
  | ({ type: "compaction"; } & CompactionStep)
  /** There is a goal, or it was judged, or it is gone. */
  | ({ type: "goal"; } & GoalStep)
  /** Files changed or were taken back, or the session is a fork. */
  | ({ type: "travel"; } & TravelStep)
  /** The open turn pauses, or is about to. It goes on from where it is. */
  | { type: "turn_paused";
      /** The turn. */
      turn: TurnId;
      /** Whether a limit or a person wants it, and whether it has begun. */
      pause?: Pause;
      /** Which limit, or by whom, and what to do, in words for a person. */
      detail: string;
      /** How long the session had worked by then, in milliseconds. */
      worked_ms?: number;
    }
  /** The turn is over: every call has its result and nothing of it runs any more. */
  | { type: "turn_ended";
      /** The turn. */
      turn: TurnId;
      /** Why. */
      reason: StopReason;
      /** In words, for a person; empty for an ordinary end. */
      detail: string;
    }
  /** A process took the session over after another one died in the middle of a turn. */
  | { type: "recovered";
      /** Calls whose tool was running then. */
      lost_calls: CallId[];
      /** The request that was open then. */
      lost_request: RequestId | null;
    };

/** Why something asked was not done. */
export type Failure = {
  code: number;
  message: string;
  data?: unknown;
};

/** What became of a file that was to be taken back. */
export type Fate =
  /** It is what it was, or will be. */
  | { fate: "back"; }
  /** A person changed it too: what is to be done has to be said. */
  | { fate: "conflict";
      /** Why it is thought so, in words. */
      reason: string;
      /** What a merge would make of the file as it is, as a unified diff. */
      merge: string;
    }
  /** A person changed it too, and it stays as it is. */
  | { fate: "left"; }
  /** The agent's changes are out of it. */
  | { fate: "merged";
      /** Places where both had changed the same lines: they stand in the file between marks. */
      conflicts: number;
    }
  /** It is what it was; what a person had made of it is only in the session's journal. */
  | { fate: "overwritten"; }
  /** It could not be changed. */
  | { fate: "failed";
      /** Why, in words. */
      reason: string;
    };

/** A file that a tool changed. */
export type FileChange = {
  /** Which file. */
  path: string;
  /** In what way. */
  kind: ChangeKind;
  /** A unified diff for a person, cut to a sane size. */
  diff?: string;
};

/** What became of a file. */
export type FileFate = {
  /** Which, relative to the workspace. */
  path: string;
  /** What became of it. */
  fate: Fate;
};

/** What kind of file. */
export type FileKind =
  /** One with bytes. */
  | "plain"
  /** One that may be run. */
  | "executable"
  /** One with bytes that only its owner may reach. */
  | "private"
  /** One that may be run, by its owner only. */
  | "private_executable"
  /** A symbolic link. */
  | "link";

/** What happened to a file. */
export type FileStep = {
  /** Which, relative to the workspace. */
  path: string;
  /** What it was; absent where there was none. */
  before?: FileVersion;
  /** What it became; absent where it is gone. */
  after?: FileVersion;
};

/** What a file was at a time. */
export type FileVersion = {
  /** Its bytes; of a symbolic link, where it leads. */
  content: BlobId;
  /** How many they are. */
  bytes: number;
  /** What kind of file. */
  kind: FileKind;
};

export type Fork = {
  session: SessionId;
  /** The message before which the fork begins; all of the session without one. */
  before?: MessageId;
};

/** What a watcher of a session gets. */
export type Frame =
  /** A committed event. */
  | { record: Record }
  /** A live fragment. */
  | { delta: Delta };

/** What is to be reached. */
export type Goal = {
  /** In a person's words. */
  text: string;
  /** Commands that must succeed where the goal is met; the evaluator sees their results. */
  checks?: string[];
  /** How many verdicts in a row may find nothing new before the work stops. */
  patience: number;
  /** How many verdicts there may be since a person last spoke. */
  verdicts: number;
  /** The commit that was checked out when it was set, with which the changes are compared. The engine fills it in; none where the workspace was in no repository. */
  start?: string;
};

/** Something that happened to the goal. */
export type GoalStep =
  /** There is a goal from here on. */
  | { step: "set";
      /** The goal. */
      goal: Goal;
    }
  /** The evaluator judged. */
  | { step: "judged";
      /** What it said. */
      judgement: Judgement;
    }
  /** There is no goal any more. */
  | { step: "dropped";
      /** Why: `person`, `met`, `impossible`, `no progress`. */
      cause: string;
    };

/** Whether a goal is met. */
export type GoalVerdict =
  /** It is. */
  | "met"
  /** More work is needed. */
  | "not_yet"
  /** It cannot be. */
  | "impossible";

/** The first thing that is said. */
export type Hello = {
  /** The versions that the face understands. */
  protocol: Versions;
  /** Its name and version, for people. */
  client: string;
  /** The folder it was started in. */
  folder: string;
  /** Its environment: a session's commands and providers get theirs from here. The host's own counts where there is none. */
  environment?: { [key: string]: string };
};

/** A hit of a search. */
export type Hit = {
  /** The session. */
  session: SessionId;
  /** Where in it. */
  seq: Seq;
  /** The words around the match, the match between `«` and `»`. */
  snippet: string;
};

/** One entry of the context. Serialised tagged by `kind`. */
export type Item =
  /** Words from a person. */
  | { kind: "user";
      /** The message this item delivers. */
      message: MessageId;
      /** What was said, in order. */
      content: Content[];
    }
  /** Words from the harness to the model (a crash happened, a job ended, a limit is near). Dialects send it in the user's role, marked as coming from the system. */
  | { kind: "notice";
      /** What the model is told. */
      text: string;
    }
  /** Words from the model. */
  | { kind: "assistant";
      /** The words. */
      text: string;
      /** The provider's own form of this block, to be echoed exactly (annotations, phase). */
      opaque?: Opaque;
    }
  /** The model's thinking, as far as the provider shows it. */
  | { kind: "thinking";
      /** Readable text, possibly empty. */
      text: string;
      /** The provider's own block with its signature or encrypted content, echoed exactly. */
      opaque?: Opaque;
    }
  /** The model asks for a tool. Exactly one `Item::ToolResult` answers it, always. */
  | ({ kind: "tool_call"; } & ToolCall)
  /** The answer to a tool call. */
  | { kind: "tool_result";
      /** The call it answers. */
      call: CallId;
      /** How it went. */
      status: ToolStatus;
      /** What the model is shown. */
      content: Content[];
    }
  /** What compaction may never lose, as it stood at a compaction: goal, rules, what was said, plan, decisions, files, jobs. Written by the harness from facts, never by a model. */
  | { kind: "ledger";
      /** It, for the model. */
      text: string;
    }
  /** What a compaction left of the items before it, besides the ledger. */
  | { kind: "summary";
      /** In words; empty where only the provider can read it. */
      text: string;
      /** The provider's own compaction block, echoed exactly. */
      opaque?: Opaque;
    }
  /** A provider's block that has no word here; echoed exactly to the provider it came from and left out for any other. */
  | { kind: "foreign";
      /** The block. */
      opaque: Opaque;
    };

/** How a background job ended. */
export type JobEnd = {
  /** The job. */
  job: JobId;
  /** In words: `exit code 0`, `killed`, `lost in a crash`. */
  outcome: string;
};

/** A background job of a session; it bears the number of the call that started it. */
export type JobId = number;

/** What the evaluator said of a goal. */
export type Judgement = {
  /** The verdict. */
  verdict: GoalVerdict;
  /** Its reasons, which steer the next turn. */
  reasons: string;
  /** The commands that the claim named as evidence. */
  evidence?: CallId[];
  /** The goal's checks, as they were just run. */
  checks?: CheckRun[];
  /** A hash of the changes in the workspace: the same number means that nothing changed. */
  changes?: number;
  /** The same, after the checks had run. */
  left?: number;
};

/** Whether calls of one reply may run side by side. */
export type Lane =
  /** Only reads; runs beside other shared calls. */
  | "shared"
  /** May change things; runs alone, in the order the model wrote the calls. */
  | "exclusive";

/** How much a session may use. Reaching a limit of the session (money, tokens, turns, time) pauses the open turn, which goes on once the limit is raised; any other ends it. Nothing is lost. */
export type Limits = {
  /** Model requests in one turn. */
  requests_per_turn: number;
  /** Money for the whole session; no request is sent once it is reached. */
  budget?: Money;
  /** Tokens for the whole session, prompts and answers together. */
  tokens?: number;
  /** Turns of the whole session. */
  turns?: number;
  /** Milliseconds of work for the whole session; waiting for a person is not work. */
  work_ms?: number;
  /** How often the same call, or a few in turn, may give the same results in a row before the turn is stopped. */
  repeats: number;
  /** Tool calls that run side by side. */
  parallel_calls: number;
};

export type List = {
  query?: SessionQuery;
};

/** A message from a person, unique in its session; the client makes it, so that sending the same message twice is noticed. */
export type MessageId = string;

/** What went wrong with a request, for a person. */
export type ModelError = {
  /** The kind. */
  kind: ModelErrorKind;
  /** What happened, with the provider's own words. */
  message: string;
  /** What to do about it. */
  hint: string;
  /** The HTTP status, if there was one. */
  status?: number;
};

/** What kind of thing went wrong, by what can be done about it. */
export type ModelErrorKind =
  /** No key, or the provider does not take it. */
  | "auth"
  /** The account is out of money or quota. */
  | "quota"
  /** No such model there. */
  | "unknown_model"
  /** What answered is not such an API (HTML, another JSON). */
  | "not_an_api"
  /** Cannot connect, or the connection broke. */
  | "network"
  /** Too many requests, or the provider is overloaded; retries did not help. */
  | "busy"
  /** The provider broke (5xx); retries did not help. */
  | "server"
  /** The context does not fit the model. */
  | "context_overflow"
  /** The provider does not take the request as it is. */
  | "bad_request"
  /** The stream was not what its protocol says. */
  | "malformed"
  /** It was cancelled here. */
  | "cancelled"
  /** The process died while it was open. */
  | "lost";

/** US dollars as a decimal number in text, such as `0.0425`. */
export type Money = string;

/** More of what is watched. */
export type More = {
  watch: number;
  frame: Frame;
};

export type Named = {
  session: SessionId;
};

/** Something the model wants remembered for good: it becomes part of the ledger. */
export type Note = {
  /** What kind of thing. */
  kind: NoteKind;
  /** In words. */
  text: string;
  /** Calls whose results show it. */
  evidence?: CallId[];
};

/** What kind of thing is to be remembered. */
export type NoteKind =
  /** A rule that holds from here on. */
  | "rule"
  /** A decision, with its reason. */
  | "decision"
  /** An approach that was tried and failed, with its reason. */
  | "failed"
  /** A fact that will be needed again: a name, a number, a place. */
  | "fact"
  /** The goal is reached; the evidence shows it. */
  | "done";

/** A client's request to a session. */
export type Op =
  /** Says something. With no turn running, every delivery but a note starts one. */
  | { op: "say";
      /** Made by the client; a repeated id is ignored. */
      message: MessageId;
      /** When to deliver it. */
      delivery: Delivery;
      /** What it says. */
      content: Content[];
      /** How hard to think in the turn that it opens; the session's own effort when absent. */
      effort?: Effort;
    }
  /** Takes back a message that was accepted and has not reached the model; one that has reached it, or that nobody knows, is left as it is. */
  | { op: "withdraw";
      /** Which message. Its id stays known: it cannot be said again. */
      message: MessageId;
    }
  /** Goes on with a turn that a crash, a limit or a pause left open, and takes back a pause that has not begun; without a turn, goes on with the goal, if there is one. */
  | { op: "resume"; }
  /** Lets the open turn come to the end of its step and wait there. */
  | { op: "pause"; }
  /** Ends the turn now. */
  | { op: "interrupt";
      /** Who or what wants it: `person`, `timeout`, `signal`. */
      cause: string;
    }
  /** Answers an approval; the first answer wins. */
  | { op: "answer";
      /** The call it is about. */
      call: CallId;
      /** The answer. */
      answer: Answer;
    }
  /** Changes the settings from the next request on; another model or folder only while nothing of the session runs. */
  | { op: "configure";
      /** All of them. */
      settings: Settings;
    }
  /** Compacts the context: now, or at the next step boundary of the open turn. */
  | { op: "compact";
      /** What the summary should dwell on; may be empty. */
      focus: string;
      /** Which part of the context. */
      part: ContextPart;
    }
  /** Takes the last compaction back. Only while no turn is open. */
  | { op: "undo_compaction"; }
  /** Sets the goal, or drops it. A new goal is worked for from the next step of the open turn, or from the next message on. */
  | { op: "set_goal";
      /** The goal; none drops it. */
      goal: Goal | null;
    };

/** A provider's block kept as it came, to be echoed byte for byte. */
export type Opaque = {
  /** Which dialect wrote it: `messages`, `responses` or `chat`. */
  origin: string;
  /** The block: compact JSON text. */
  json: string;
};

/** A session that was opened. */
export type Opened = {
  /** Its settings. */
  settings: Settings;
  /** The last place in its journal as it was found. What follows it up to `last` was recorded by opening the session: how that which a crash cut short ended. */
  found: Seq;
  /** The last place in its journal. */
  last: Seq;
  /** Whether a turn is open that a crash cut short, or that waits; `Op::Resume` goes on with it. */
  unfinished: boolean;
  /** What keeps that turn, if anything does. What is said to it at a limit is heard once that is raised. */
  pause: Pause | null;
  /** Whether the session works for a goal; `Op::Resume` goes on with that too. */
  has_goal: boolean;
  /** What a damaged journal lost, in words for the person. */
  repaired: string | null;
};

/** Who wants a turn to pause, and how far that has come. */
export type Pause =
  /** A limit was reached: the turn waits until it is raised. */
  | "limit"
  /** A person wants it: nothing has paused yet, the step under way comes to its end first. */
  | "asked"
  /** A person wanted it: the turn waits until it is resumed or something is said. */
  | "person"
  /** No person wants it any more, before it began: the turn goes on as if nothing had been asked. */
  | "withdrawn";

/** Whether it may be worked, is planned first, or is only looked. */
export type Phase =
  /** What the policy lets be done may be done. */
  | "work"
  /** Nothing is changed until the person accepts the plan. */
  | "plan"
  /** Nothing is changed, whatever rules and persons say: others are at work. */
  | "look";

/** How far a step of the plan is. */
export type PlanStatus =
  /** Not begun. */
  | "pending"
  /** Being worked on. */
  | "in_progress"
  /** Done. */
  | "completed";

/** A line of the checklist that a person sees. */
export type PlanStep = {
  /** What is to be done. */
  text: string;
  /** How far it is. */
  status: PlanStatus;
};

/** A point in a session's past. */
export type Point =
  /** Before it did anything. */
  | "start"
  /** Before this message was delivered. */
  | { before: MessageId }
  /** Before its last change of files that was not taken back. */
  | "last_change"
  /** Before files were taken back last, if the session has changed none since. */
  | "last_back";

/** What may run, where, and who is asked. */
export type Policy = {
  /** What the kernel lets commands do. */
  sandbox: SandboxMode;
  /** When a person is asked. */
  approvals: ApprovalMode;
  /** Rules by command prefix; the longest match wins, a later one among equals. */
  rules?: Rule[];
  /** Domains that commands may reach through the proxy: `example.org`, `*.example.org`, or `*` for every one. None means no network. */
  domains?: string[];
  /** Folders besides the workspace that commands may write. */
  writable?: string[];
  /** Names of environment variables that commands get, besides the built-in list. */
  environment?: string[];
  /** Whether it may be worked, or is planned first. */
  phase?: Phase;
};

/** What opens every request of a session, byte for byte the same from request to request. */
export type Prefix = {
  /** The system prompt. */
  instructions: string;
  /** The tools. */
  tools: ToolSpec[];
  /** Tools that came while the session was at work. They open no request: the model was told of them in the context and calls them by `USE_TOOL`. */
  late?: ToolSpec[];
  /** Servers whose tools cannot be had, each with why: `NAME: …`. The model was told so. */
  absent?: string[];
};

/** A change of a file that was not made yet. */
export type Proposed = {
  /** Which file, as the call names it. */
  path: string;
  /** Hunks of a unified diff without places, since nobody looked at the file; cut to a sane size, which its last line then says. Empty where the file goes. */
  diff?: string;
};

/** What a request is for. */
export type Purpose =
  /** The session's own work. */
  | { for: "work"; }
  /** A summary of the context, in the model's words: the reply's text is all that counts. */
  | { for: "summary"; }
  /** A compaction by the provider's own means: the reply is one `Item::Summary`, or items that stand for the whole context. */
  | { for: "compact";
      /** What it should dwell on; may be empty. */
      focus: string;
    }
  /** A judgement of the goal, in a context of its own. */
  | { for: "judge"; };

/** An event with its place and time, as stored, watched and printed. */
export type Record = {
  /** Its place in the journal. */
  seq: Seq;
  /** Milliseconds since the Unix epoch at which it was recorded. */
  at_ms: number;
} & Event;

/** A model request of a session, counted from 1. An answer that quotes an old one is dropped. */
export type RequestId = number;

/** A failed attempt that was followed by another. */
export type Retry = {
  /** What went wrong, in words. */
  reason: string;
  /** How long was waited before the next attempt. */
  wait_ms: number;
};

/** A rule by command prefix. */
export type Rule = {
  /** The words a command starts with: `["git", "push"]`. */
  prefix: string[];
  /** What to do with it. */
  action: RuleAction;
};

/** What a rule does. */
export type RuleAction =
  /** Run it without asking. */
  | "allow"
  /** Ask a person. */
  | "ask"
  /** Refuse it. */
  | "deny";

/** What the kernel lets commands do. */
export type SandboxMode =
  /** Read the disk, write nothing but a private temp folder. */
  | "read-only"
  /** Also write the workspace, except what configures git, hooks and Quire. */
  | "workspace-write"
  /** Everything the user may do. The person has said that something else confines it. */
  | "off";

export type Search = {
  text: string;
  limit: number;
};

/** Position of an event in its session's journal, counted from 1. `Seq(0)` is "before the first". */
export type Seq = number;

/** What a list of sessions shows. */
export type SessionHead = {
  /** The session. */
  session: SessionId;
  /** When it began, in milliseconds since the Unix epoch. */
  created_ms: number;
  /** When something was last appended. */
  updated_ms: number;
  /** The folder it works in. */
  workspace: string;
  /** Its first words, cut to a line; of a fork, also where it branched. */
  title: string;
  /** Events in its journal. */
  events: number;
  /** The session that it was forked from. */
  parent?: SessionId;
};

/** A session: a UUID version 7, so ids sort by creation time. */
export type SessionId = string;

/** Which sessions to list. */
export type SessionQuery = {
  /** Only those that work in this folder. */
  workspace: string | null;
  /** Only those whose id starts so. */
  id_prefix: string | null;
  /** At most so many; 0 for all. */
  limit: number;
};

/** What a session runs with. Recorded in its journal, so that a resumed session is the same one. */
export type Settings = {
  /** The model: `provider/name`. */
  model: string;
  /** How hard to think. */
  effort: Effort;
  /** The folder it works in, absolute. */
  workspace: string;
  /** What may run, where. */
  policy: Policy;
  /** How much it may use. */
  limits: Limits;
  /** The JSON schema that the final answer must fit. */
  output_schema?: unknown;
  /** How large the context may grow, and what happens then. */
  context?: ContextLimits;
  /** Who decides how hard to think at each step. */
  effort_choice?: EffortChoice;
  /** Where inference must happen, such as `us`; anywhere when absent. */
  region?: string;
};

/** Items of the context from one place up to before another, counted from 0. */
export type Span = {
  /** The first of them. */
  from: number;
  /** The one after the last. */
  to: number;
};

/** What a session's requests used and cost: a fold of its journal. */
export type Spending = {
  /** Requests that were answered or failed. */
  requests: number;
  /** Their tokens. */
  usage: Usage;
  /** What is known of their cost, exactly. */
  cost: Money;
  /** Requests whose cost is not known, or not all of it. */
  unpriced?: number;
  /** Of them, those that a budget misses: all but those that were stopped before anything of them was told. */
  missed?: number;
};

/** What a session needs. */
export type Standing =
  /** A person: a question is open, a limit is reached, or a crash cut its turn short. */
  | "needs_you"
  /** Nothing: it works. */
  | "working"
  /** Nothing: a person paused it. */
  | "paused"
  /** Nothing: its last turn ended. */
  | "done"
  /** A look: its last turn ended badly. */
  | "failed";

export type Start = {
  settings: Settings;
};

/** Asks the host to end. */
export type Stop = {
  /** How long running tools may take to end by themselves. */
  patience_ms?: number;
};

/** Why a turn ended. The first five are ACP's. */
export type StopReason =
  /** The model had no more to do. */
  | "end_turn"
  /** The answer was cut at the output limit. */
  | "max_tokens"
  /** The turn used all the requests it may make. */
  | "max_turn_requests"
  /** The model or its provider refused. */
  | "refusal"
  /** A person, a signal or a timeout stopped it. */
  | "cancelled"
  /** The budget is spent. Journals before version 0.2 ended turns so; now such a turn pauses. */
  | "budget"
  /** The same call, or a few in turn, with the same results again and again; or a goal came no nearer. */
  | "no_progress"
  /** The evaluator found that the goal cannot be met. */
  | "impossible"
  /** The model could not be reached or broke. */
  | "error";

/** What can go wrong with the store. */
export type StoreError =
  /** There is no such session. */
  | { no_session: SessionId }
  /** Another process works on it. */
  | { leased: {
      /** The session. */
      session: SessionId;
      /** The process that holds it. */
      process: number;
    } }
  /** The lease was taken over; this process must stop working on the session. */
  | { lease_lost: SessionId }
  /** The disk is full. Nothing was written; what was there is intact. */
  | { full: {
      /** Where the store lives. */
      path: string;
    } }
  /** The store cannot be opened or written. */
  | { unusable: {
      /** Where it lives. */
      path: string;
      /** The system's reason, and what to do. */
      reason: string;
    } }
  /** The store's content is damaged beyond a tail that can be cut. */
  | { damaged: string };

export type Submit = {
  session: SessionId;
  op: Op;
};

export type TakeBack = {
  session: SessionId;
  to: Point;
  conflicts?: Conflicts;
};

/** What taking files back did, or would do. */
export type TakenBack = {
  /** Whether anything was done: not where somebody has to be asked first. */
  done: boolean;
  /** What became of each file that had to change. */
  files: FileFate[];
};

/** Why a model stopped producing tokens. */
export type TokenStop =
  /** It had said all it wanted. */
  | "end_turn"
  /** It wants tools to run. */
  | "tool_use"
  /** It reached the output limit or the end of its window. */
  | "max_tokens"
  /** It, or its provider, refused. */
  | "refusal"
  /** The provider paused a long turn; asking again continues it. */
  | "pause";

/** A tool call as the model wrote it. */
export type ToolCall = {
  /** Our id, unique in the session. */
  call: CallId;
  /** The provider's id, echoed to it; may repeat within a session. */
  provider_id: string;
  /** The tool's name, which the model may have invented. */
  name: string;
  /** The arguments as the model wrote them: JSON text (perhaps malformed) for a `crate::ToolInput::Json` tool, free text for a `crate::ToolInput::Text` tool. */
  arguments: string;
};

/** What a tool takes. */
export type ToolInput =
  /** A JSON object of this schema; the order of its keys is kept. */
  | { json: unknown }
  /** Free text, constrained by a Lark grammar where the provider can. Providers without free-text tools get a function with one string argument, `input`. */
  | { text: {
      /** A Lark grammar, or empty for none. */
      grammar: string;
    } };

/** What a tool says when it is finished. Never an `Err`: a failure is a fact for the model. */
export type ToolOutcome = {
  /** How it went. */
  status: ToolStatus;
  /** What the model is shown. */
  content: Content[];
  /** Files it changed, relative to the workspace where they are in it. */
  changes?: FileChange[];
  /** The plan it set, if it is the plan tool. */
  plan?: PlanStep[];
  /** The background job it started, if it did; its number is that of the call that started it. */
  job?: JobId;
  /** How the command ended that it ran; absent when none ran, or when someone stopped it. */
  end?: CommandEnd;
  /** How many lines it printed or read, or how many matches or entries it found. `content` may hold fewer, and words about them besides. */
  lines?: number;
  /** What the model wants remembered for good. */
  note?: Note;
  /** What an agent spent that worked for this call. It stands in the agent's own journal too, from which costs are summed. */
  spent?: Spending;
};

/** A tool as described to a model. */
export type ToolSpec = {
  /** Its name, `[A-Za-z0-9_-]{1,64}`. */
  name: string;
  /** What it does and when to use it, for the model. */
  description: string;
  /** What it takes. */
  input: ToolInput;
};

/** How a tool call came out. */
export type ToolStatus =
  /** It ran and did what it says (a command that exits non-zero is still done). */
  | "done"
  /** It could not do what was asked: bad arguments, no such file, an invented tool. */
  | "failed"
  /** A person or a rule refused it; it did not run. */
  | "denied"
  /** It was stopped by a person, a limit or a failed sibling; it may have run in part. */
  | "cancelled"
  /** The process died while it ran; it may have run in part and is never run again. */
  | "lost";

/** Something about the past of a session or of its files. */
export type TravelStep =
  /** Files of the workspace changed while a call ran, by whatever means. Both versions of each are kept. */
  | { step: "kept";
      /** The call; that of the job's start where a job was at work. */
      call: CallId;
      /** The files. */
      files: FileStep[];
      /** Who may have changed them. */
      whose: Whose;
    }
  /** What a call changes, from this one on, cannot be taken back. */
  | { step: "missed";
      /** The call. */
      call: CallId;
      /** Why, in words. */
      reason: string;
    }
  /** A person took files back to how they were. */
  | { step: "taken_back";
      /** What was recorded after this place was taken back. */
      to: Seq;
      /** What that did to files. What they held before is kept. */
      files: FileStep[];
      /** Files that could not be changed: what was done to them is still to be taken back. */
      failed?: string[];
    }
  /** A person had what was taken back last again. */
  | { step: "redone";
      /** What that did to files. What they held before is kept. */
      files: FileStep[];
      /** Files that could not be changed: what was done to them is still taken back. */
      failed?: string[];
    }
  /** The session begins here; all that stands before it is another session's, up to that place. */
  | { step: "forked";
      /** That session. */
      from: SessionId;
      /** The place. */
      at: Seq;
      /** Files that hold changes which the other session made after it. */
      ahead?: string[];
    };

/** A turn of a session, counted from 1. */
export type TurnId = number;

/** Tokens of one or more model requests. The five input and output counts are disjoint: the whole prompt is `input + cache_read + cache_write_5m + cache_write_1h`. */
export type Usage = {
  /** Prompt tokens that were neither read from nor written to a cache. */
  input?: number;
  /** Prompt tokens read from a cache. */
  cache_read?: number;
  /** Prompt tokens written to a cache that lives about five minutes (or the provider's default). */
  cache_write_5m?: number;
  /** Prompt tokens written to a cache that lives an hour or more. */
  cache_write_1h?: number;
  /** Tokens produced, thinking included. */
  output?: number;
  /** Of `output`, those that were thinking. */
  thinking?: number;
};

/** What policy says about a call. */
export type Verdict =
  /** Run it. */
  | { verdict: "run"; }
  /** Ask a person first. */
  | { verdict: "ask";
      /** What is asked. */
      approval: Approval;
    }
  /** Refuse it; the model is told the reason. */
  | { verdict: "refuse";
      /** The reason, which says what the model may do instead. */
      reason: string;
    };

export type Versions = {
  oldest: number;
  newest: number;
};

export type Watch = {
  session: SessionId;
  /** What is recorded up to here is known already. */
  after?: Seq;
};

/** A watch by the number that its answer gave. */
export type Watched = {
  watch: number;
};

/** The answer to it. */
export type Welcome = {
  /** The version that is spoken from here on. */
  protocol: number;
  /** The host's name and version, for people. */
  server: string;
  /** Its process. */
  process: number;
};

/** Who may have changed a file. */
export type Whose =
  /** The agent, as far as can be known. */
  | "agent"
  /** The agent, or a person meanwhile: it took so long that both may be. */
  | "unclear";

/** What can be asked, with what it takes and what its answer holds. */
export interface Methods {
  /** Said first. */
  "hello": { params: Hello; result: Welcome };
  /** Starts a session. */
  "session/start": { params: Start; result: Named };
  /** Opens a session that is there. */
  "session/open": { params: Named; result: Opened };
  /** Asks something of a session; answered once it is recorded. */
  "session/submit": { params: Submit; result: null };
  /** This face looks at the session no more; its work goes on. */
  "session/close": { params: Named; result: null };
  /** Removes a session for good. */
  "session/remove": { params: Named; result: null };
  /** Begins a session with what another one has, or had before a message. */
  "session/fork": { params: Fork; result: Named };
  /** What a session made of files. */
  "session/changes": { params: Changes; result: FileChange[] };
  /** Takes a session's changes of files back. */
  "session/take_back": { params: TakeBack; result: TakenBack };
  /** Tells what is recorded in a session, and all that happens. */
  "session/watch": { params: Watch; result: Watched };
  /** Ends a watch. */
  "session/unwatch": { params: Watched; result: null };
  /** Lists sessions, newest activity first. */
  "sessions/list": { params: List; result: SessionHead[] };
  /** Searches all sessions. */
  "sessions/search": { params: Search; result: Hit[] };
  /** What sessions need. */
  "agents/list": { params: null; result: Agent[] };
  /** Ends the host; the one thing that needs no `hello`. */
  "host/stop": { params: Stop; result: null };
}

/** What is told without being asked. */
export interface Notices {
  /** More of what is watched. */
  "watch/frame": More;
  /** What was watched is over. */
  "watch/end": Ended;
  /** The host ends, and the next one shows it. */
  "watch/leaving": Watched;
}

/** Numbers of errors. */
export type ErrorCode =
  /** A message is no JSON. */
  | -32700
  /** A message asks nothing. */
  | -32600
  /** There is no such method. */
  | -32601
  /** The params are not those of the method. */
  | -32602
  /** The session said no: the data is a `ClientError`. */
  | -32000
  /** The two sides share no version. */
  | -32001
  /** Something else was asked before `hello`. */
  | -32002
  /** The host makes room for another one: connect again. */
  | -32003;

/** Something asked of the host. */
export type RpcRequest = {
  [M in keyof Methods]: { jsonrpc?: "2.0"; id: string | number; method: M } & (
    Methods[M]["params"] extends null
      ? { params?: { [key: string]: never } }
      : { params: Methods[M]["params"] }
  );
}[keyof Methods];

/** The answer to it. */
export type RpcAnswer<M extends keyof Methods = keyof Methods> =
  | { jsonrpc: "2.0"; id: string | number; result: Methods[M]["result"] }
  | { jsonrpc: "2.0"; id: string | number | null; error: Failure & { code: ErrorCode } };

/** Something told without being asked. */
export type RpcNotice = {
  [M in keyof Notices]: { jsonrpc: "2.0"; method: M; params: Notices[M] };
}[keyof Notices];
