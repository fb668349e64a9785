//! The facts that a check saw in place of the answer it waited for. `cause.rs` finds out why.

use crate::{
    load_subject::{Figure, Load, Tally},
    probe::Call,
    shape::Ran,
    web_subject::Web,
};
use nix::sys::signal::Signal;
use std::{io, net::SocketAddr, time::Duration};

/// A check's complaint.
#[derive(Debug)]
pub(crate) struct Problem {
    /// The answer that should have come, in words: "the goodbye, then FIN".
    pub(crate) wanted: String,
    /// The bytes that should have come, if it was about bytes.
    pub(crate) expected: Vec<u8>,
    /// The facts.
    pub(crate) seen: Seen,
    /// On which of the clients' connections, if on one.
    pub(crate) client: Option<usize>,
    /// The subject of the step, if it tells more than the bytes do.
    pub(crate) topic: Option<Topic>,
}

/// The facts, by kind.
#[derive(Debug)]
pub(crate) enum Seen {
    /// The program could not be started at all: not the student's fault.
    Grader(io::Error),
    /// It ended before it said that it listens, or while it was watched.
    Exited,
    /// It should have ended with this exit code.
    OtherExit {
        /// The code.
        code: i32,
    },
    /// It should not have been able to listen there, and says that it does.
    ListensToo,
    /// With the program stopped, another number of connections came about than its queue should take.
    Queue {
        /// The number that should have.
        wanted: usize,
        /// The number that did, or one more than was tried.
        got: usize,
    },
    /// It never said `READY`.
    NotReady,
    /// Its first line on stdout is not `READY ADDR`.
    BadReady(String),
    /// It said that it listens at an address that is not the one it was told.
    OtherAddress {
        /// The address that it was told.
        told: SocketAddr,
        /// The address that it said.
        said: SocketAddr,
    },
    /// Connections are refused; the kind of error is in the record.
    Refused,
    /// The program has not connected to a server of ours that it was told of.
    NobodyConnected(SocketAddr),
    /// Nothing more came for as long as we wait; so much had come.
    Silence(Vec<u8>),
    /// It does not read: the kernels' buffers are full.
    NotRead,
    /// The stream ended too early; so much of what was wanted had come.
    EarlyEnd(Vec<u8>),
    /// The connection was reset.
    Reset,
    /// These bytes came, and others should have.
    Wrong(Vec<u8>),
    /// Bytes came where none may.
    Extra(Vec<u8>),
    /// The stream should have ended and did not.
    StillOpen,
    /// stdout has more than the line `READY`.
    Chatter(String),
    /// One of its threads has panicked, and the others went on.
    ThreadPanicked,
    /// stderr does not have what it should.
    NotLogged(String),
    /// stderr has this line in place of one with the right number.
    Miscounted(String),
    /// It ticked so often.
    Ticks {
        /// How often.
        got: usize,
        /// How often it should have.
        due: usize,
    },
    /// Answers came late, half of them later than this.
    Late {
        /// The time in the middle.
        median: std::time::Duration,
    },
    /// Work of which each piece has to wait for the one before took less time than all of it together.
    TooSoon {
        /// The time that it took.
        took: Duration,
        /// The time that it takes at least.
        least: Duration,
    },
    /// Clients for whom there is no place were told so late, each of them.
    LateRefusal {
        /// The shortest time.
        quickest: Duration,
        /// The call that the first thread slept in while one of them waited.
        call: Option<Call>,
    },
    /// Exchanges take about as long as a kernel delays its acknowledgments.
    Stalled {
        /// How long one takes.
        usual: Duration,
        /// The same while our kernel acknowledges at once, if it can be told to.
        hurried: Option<Duration>,
    },
    /// It woke up too often although nothing happened.
    Wakeups {
        /// How often.
        count: u64,
    },
    /// It uses the processor although nothing happens.
    Busy {
        /// It ran, or wanted to, most of the time;
        spins: bool,
        /// It was on the processor for so long,
        processor: Duration,
        /// it went to sleep and was woken so often,
        waits: u64,
        /// within this time.
        over: Duration,
    },
    /// It was told to stop with this grace, and commands were cut off at another time.
    CutOff {
        /// The grace.
        grace: Duration,
        /// How long after the signal they were cut off, if they were.
        after: Option<Duration>,
        /// It would be the same with another grace.
        ignored: bool,
    },
    /// This client was served, and as many others as there may be.
    ServedBeyond {
        /// The number of clients that there may be.
        most: usize,
    },
    /// It goes on after a signal that should have ended it.
    SignalIgnored(Signal),
    /// It serves more or fewer clients at once than it should.
    Shape(Ran),
    /// The process of that number serves another client, too, or is the parent itself.
    SameProcess(Vec<u8>),
    /// stderr says the same over and over.
    LogFlood {
        /// How often.
        lines: usize,
    },
    /// A load tester counted its requests in another way than the server that answered them.
    Counted {
        /// As the server saw them.
        wanted: Tally,
        /// As the report has them.
        got: Tally,
    },
    /// A number of its report that cannot be.
    Figure(Figure),
    /// A request that came more than once, or not at all.
    Asked {
        /// Its number.
        number: u64,
        /// How often it came.
        times: usize,
    },
    /// The most of its clients that were under way at the same time.
    Together(usize),
    /// It made so many connections.
    Connections(usize),
    /// A request came before it was due.
    Early {
        /// Its number.
        number: u64,
        /// How long after the program was started it came.
        after: Duration,
    },
    /// A request came on a connection on which another had failed.
    Reused {
        /// Its number.
        number: u64,
    },
    /// There is more of something than there was.
    Grew {
        /// Of what.
        what: Resource,
        /// Before.
        from: u64,
        /// After.
        to: u64,
    },
}

/// The resources that may grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource {
    /// Open descriptors.
    Descriptors,
    /// Threads.
    Threads,
    /// Resident memory, in KiB.
    Memory,
    /// Ended children that nobody has waited for.
    Zombies,
}

/// The subject of a step of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    /// The line is not complete yet, so nothing may be answered.
    HalfALine,
    /// Several lines came in one segment.
    SeveralLines,
    /// This client's turn has not come: another is being served.
    Turn,
    /// The client said that it sends nothing more, and still reads.
    HalfClosed,
    /// The client before this one broke off.
    AfterBrokenClient,
    /// The client before this one went in the middle of a line.
    NextClient,
    /// It was started again at the address that it had a moment before.
    Restart,
    /// It could not do what it was told, and has ended.
    Refusal,
    /// It was told to listen at an address of IPv6.
    Ipv6,
    /// Its descriptors are used up.
    OutOfDescriptors,
    /// The client had broken off before it was accepted.
    BrokeOffInQueue,
    /// No client comes.
    Idle,
    /// One client comes after the other.
    Crowd,
    /// The client paused in the middle of a line.
    Pause,
    /// The client reads slowly.
    SlowReader,
    /// The client reads nothing at all.
    NeverReads,
    /// The line is longer than a line may be.
    Oversize,
    /// The line before this one was too long.
    AfterOversize,
    /// The line is as long as a line may be, or one byte longer.
    Limit,
    /// The process that served this client has ended.
    ChildEnded,
    /// The number of clients.
    Count,
    /// The sum of what several clients added at once.
    Total,
    /// Clients before this one wait, too; one that was served has left.
    Waiting,
    /// Clients that came earlier still wait.
    OutOfTurn,
    /// Handlers have panicked before.
    WorkerLost,
    /// There are as many clients as there may be, and the queue is full.
    QueueFull,
    /// There is no place for the client, and others were told so a moment ago. They have not closed their side.
    AfterRefusal,
    /// There are as many clients as there may be.
    Full,
    /// There is one client more than there may be, and the one after it was told.
    OneMore,
    /// There are fewer clients than there may be.
    NotFull,
    /// There were as many clients as there may be, and one has left.
    Room,
    /// The answer needs locks that other threads use, too.
    Locks,
    /// The sum of what is moved about.
    Sum,
    /// Several clients ask at once for something of which there is enough for one.
    CheckThenAct,
    /// The threads of many clients have ended.
    Stacks,
    /// A longer line came before this one.
    ShorterLine,
    /// The client before this one has not closed its side after the goodbye.
    AfterGoodbye,
    /// Two clients talk at the same moment.
    BothTalk,
    /// The client said the line itself.
    Sender,
    /// The client has no name yet.
    Nameless,
    /// Another client has that name.
    NameTaken,
    /// Another client has left.
    Left,
    /// Another client has left in the middle of a line.
    Unfinished,
    /// Another client was put out.
    Kicked,
    /// The command is one that this client may not give.
    NotAdmin,
    /// The line begins like a command, and is none.
    NotACommand,
    /// Clients are in different rooms.
    Rooms,
    /// The client goes into another room.
    Moving,
    /// The room had no members any more.
    EmptyRoom,
    /// The words were for one client, or for the server.
    Secret,
    /// The name has a password.
    Password,
    /// Wrong passwords were given before.
    Tries,
    /// The lines that a room remembers.
    History,
    /// Lines are said at the moment at which a client comes.
    NoGap,
    /// Another client reads nothing.
    BesideSlowReader,
    /// Another client sends lines without a pause.
    BesideGreedy,
    /// Much was sent to a client that reads nothing.
    Outbox,
    /// The number of threads.
    OneThread,
    /// The program waits for events.
    EventLoop,
    /// The client did not read for a while, and does again.
    LeftInBuffer,
    /// Letters in one case or the other.
    Case,
    /// Blanks before, between and behind words.
    Blanks,
    /// The arguments of a command.
    Arguments,
    /// Numbers, at their limits and beyond.
    Number,
    /// The line is no text, or no command.
    BadCommand,
    /// Another client has stored something.
    Store,
    /// The store is full.
    StoreFull,
    /// It is about HTTP.
    Web(Web),
    /// It is about a load tester.
    Load(Load),
    /// It was told to end, and has nothing else to do.
    Stop,
    /// A command runs, and it was told to end.
    CommandAtStop,
    /// The client waits for no answer, and the program was told to end.
    SilentAtStop,
    /// The client comes after the program was told to end.
    NewAtStop,
    /// The client waits for a worker, and the program was told to end.
    WaitsAtStop,
    /// The time that commands have to come to their end is over.
    Grace,
    /// The numbers that it logs when it ends.
    LastLine,
    /// Work that was handed to another thread is done, or should be.
    Result,
    /// The result came only when another client was heard.
    Unwoken,
    /// Work of the client runs, and it sends more.
    ReadsOn,
    /// Others have asked for work that takes long.
    BesideWork,
    /// Some lines ask for work, and some do not.
    InOrder,
    /// Clients before this one have left while their work was done.
    Stale,
    /// Workers are chosen in turn.
    InTurn,
    /// Workers have equal numbers of clients.
    Equals,
    /// One worker has fewer clients than the others.
    Least,
    /// Many clients came at the same moment.
    Burst,
    /// One worker is busy, and others have fewer clients.
    BusyWorker,
    /// One worker is busy, and it was another's turn.
    DispatcherWaits,
    /// The worker was busy when the client was handed to it, and is not any more.
    HandedOver,
    /// Another worker has panicked.
    OthersWorker,
    /// The worker whose turn it is has panicked before.
    Replaced,
}

impl Problem {
    /// A complaint that is not about a connection.
    pub(crate) fn new(wanted: impl Into<String>, seen: Seen) -> Self {
        Self { wanted: wanted.into(), expected: Vec::new(), seen, client: None, topic: None }
    }

    /// Says what the step was about.
    #[must_use]
    pub(crate) fn about(mut self, topic: Topic) -> Self {
        self.topic = Some(topic);
        self
    }

    /// The same, unless a closer look has said it already.
    #[must_use]
    pub(crate) fn or_about(self, topic: Topic) -> Self {
        if self.topic.is_some() { self } else { self.about(topic) }
    }
}
