//! One closed list of causes for all exercises: a name, a sentence, and a page.

/// Declares the causes: the name in reports, one sentence, and the page that `course explain` shows.
macro_rules! causes {
    ($($variant:ident $name:literal $sentence:literal)+) => {
        /// Why a check failed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Cause { $(#[doc = $sentence] $variant,)+ }

        impl Cause {
            /// All of them.
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name in reports, and of its page.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The mistake, in a sentence or two.
            pub(crate) fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)+ }
            }

            /// The page that explains it.
            pub(crate) fn page(self) -> &'static str {
                match self { $(Self::$variant => include_str!(concat!("../causes/", $name, ".md")),)+ }
            }
        }
    };
}

causes! {
    Grader "grader" "The grader or the machine failed, not your program. This run does not count."
    Panicked "panicked" "Your program panicked. Nothing that a peer does may end it."
    KilledBySigpipe "killed-by-sigpipe" "Your program was killed by SIGPIPE: it wrote to a connection that the client had closed."
    Killed "killed" "Your program was ended by a signal."
    Exited "exited" "Your program ended while it should have gone on."
    PrintsWithoutEnd "prints-without-end" "Your program prints and prints. Something it should wait for makes it loop."
    Spinning "spinning" "Your program is busy although it has nothing to do: a loop goes round without waiting. A read that returns 0 means the end, not 'try again'."
    Stopped "stopped" "Your program was stopped by a signal and does nothing."
    NotReady "not-ready" "Your program runs, but has not said READY on stdout."
    BadReady "bad-ready" "The first line on stdout must be `READY ADDR`, with the address that the listener really has."
    PortIgnored "port-ignored" "Your program does not listen where it was told to: the address of --listen must be used, port 0 included."
    NotListening "not-listening" "Your program says that it is ready, but connections are refused: say READY after the socket listens, and keep the listener."
    ExitCode "exit-code" "Your program ended with another exit code than the one that says why."
    RunsOn "runs-on" "Your program should have ended: it cannot do what it was told. Pass the error on to main, and let main set the exit code."
    NoReuseAddress "no-reuse-address" "The port cannot be taken again: connections that your program closed a moment ago are still in TIME_WAIT there. Set SO_REUSEADDR before bind."
    AddressFamily "address-family" "Your program cannot listen at an IPv6 address: a socket has a family, and it must be that of the address (`Domain::for_address`)."
    PortShared "port-shared" "Two copies of your program listen at the same address, and the kernel deals the clients out between them. That is SO_REUSEPORT; what a restart needs is SO_REUSEADDR."
    WrongBacklog "wrong-backlog" "The queue of the listening socket has another length than it should."
    AcceptSpins "accept-spins" "accept fails again and again because no descriptor is left, and your loop asks again at once. Only a close by somebody helps: rest a moment."
    AcceptEnded "accept-ended" "The accept loop has ended, so nobody is accepted any more. An error of accept is about one connection or about a moment: log it and go on."
    RestsTooLong "rests-too-long" "After it was out of descriptors, your accept loop rests too long: descriptors are free again, and clients still wait. Rest 100 ms between two tries."
    LogFlood "log-flood" "The same complaint is logged over and over. A state that lasts is told when it begins and when it ends."
    StdoutChatter "stdout-chatter" "stdout belongs to the line READY and to answers. Logs go to stderr."
    NotLogged "not-logged" "The line that should be on stderr is not there."
    ReadTakenForMessage "read-taken-for-message" "Your server answered before the line was complete. TCP has no messages: one read may bring half a line, or three."
    BytesDropped "bytes-dropped" "Bytes that came together with a line were lost. What a read brings beyond the line belongs to the next one: keep it."
    AnotherClientsBytes "another-clients-bytes" "This client got bytes that another client had sent. Something is kept between clients: a buffer, a length."
    Utf8Required "utf8-required" "These bytes are not valid UTF-8, and your server could not take them as they are. The wire carries bytes; read them as bytes."
    NulTakenForEnd "nul-taken-for-end" "The answer stops at a byte 0. The length of a line is what was read, not what stands before a NUL."
    WhitespaceTrimmed "whitespace-trimmed" "The answer has lost white space. A line comes back as it was sent: trim nothing but its end, and only to compare."
    NewlineMissing "newline-missing" "The answer has no line end, so the client does not know that it is complete."
    EmptyLine "empty-line" "An empty line is a line. It was taken for the end, or passed over."
    CommandByPrefix "command-by-prefix" "A line that only begins like a command, or resembles it, is not that command: compare the whole line, as it came."
    CommandTakenForLine "command-taken-for-line" "A command came back as if it were a line like any other. Compare the line without its end, and that is LF or CR LF."
    WrongBytes "wrong-bytes" "Other bytes came than should."
    ExtraBytes "extra-bytes" "Bytes came that nobody asked for."
    ShortAnswer "short-answer" "Only a part of the answer came. One write may take a part of the bytes: write_all, or a loop."
    ResetUnreadInput "reset-unread-input" "You closed while bytes were still unread in the kernel's receive buffer; the kernel answers such a close with RST, and what you had just sent may be lost. Shut down writing, drain (bounded), then close."
    Reset "reset" "Your side broke the connection off with RST. To end it properly, close it without SO_LINGER and with nothing unread."
    EarlyEnd "early-end" "Your side ended the stream before the answer was complete."
    AnswersLostAtHalfClose "answers-lost-at-half-close" "The client said that it sends nothing more, and your server stopped answering. A FIN ends one direction; what came before it is still to be answered."
    StillOpen "still-open" "The stream should end here, and your side keeps it open: shut down writing, or close."
    Silence "silence" "Nothing came, although your server has what it needs to answer."
    SleepsByTheClock "sleeps-by-the-clock" "Your program sleeps for a time while this client waits. Wait in the kernel for what should happen (accept, read, poll): it wakes you at once."
    AcceptedLate "accepted-late" "Clients wait although your program has nothing else to do: take all who are there, and look again as soon as somebody comes."
    NagleStall "nagle-stall" "Small pieces of an answer wait for a timer: your kernel keeps the second back until the first is acknowledged, and the client's kernel delays that. Write an answer in one piece, or set TCP_NODELAY."
    NoTick "no-tick" "Your program waits for a client and for nothing else: while nobody comes, its time stands still. Wait until a client comes or the time has come, whichever is first."
    TickPutOff "tick-put-off" "Each client puts the tick off: the wait begins anew after every client. Wait until a moment, not for a time: the moment of the next tick stays where it is."
    TicksTooSeldom "ticks-too-seldom" "It ticks less often than every 100 ms: the time from one tick to the next is longer, or it begins when something else is over."
    TicksTooOften "ticks-too-often" "It ticks more often than every 100 ms: a tick belongs to a moment, not to each round of the loop."
    Miscounted "miscounted" "A number that your program counts is not the right one: something is counted twice, not at all, too late, under another name, or from 0 where it should be from 1."
    LineEndCounted "line-end-counted" "The length is too large by the line end: LF, or CR LF, is no part of the line."
    BytesKept "bytes-kept" "Bytes of an earlier line are still there, and were answered or counted again: what was answered has to leave the buffer."
    LineWithoutLimit "line-without-limit" "A line that is too long is not refused while it comes, so a client may send it without end. Refuse it as soon as the limit is passed, and keep nothing of the rest."
    LimitOffByOne "limit-off-by-one" "The limit is off by one. The most that is allowed has to be taken, and one more, a byte or a client, has to be refused. Of a line, the task says whether its end counts."
    RestOfLineAnswered "rest-of-line-answered" "The rest of a line that was refused is taken for a line of its own. Pass over it, up to its end, and then go on."
    TimeoutTakenForEnd "timeout-taken-for-end" "Your server ended the conversation because a read gave up after its timeout (WouldBlock). That is no error and no end: the client has not sent yet."
    SlowReaderGivenUp "slow-reader-given-up" "Your server ended the conversation in the middle of an answer. A write that gave up (WouldBlock), after its timeout or because the socket does not block, has to be tried again with what is left: write_all does not do that."
    SentOutOfStep "sent-out-of-step" "From some byte on, the bytes belong to another place: after a short write a part was sent twice, or left out. Go on exactly behind what was taken."
    EndTakenForLine "end-taken-for-line" "The stream ended in the middle of a line, and your server answered that as if it were one. A line without its end is none; a read of 0 bytes is the end."
    NeverGivesUp "never-gives-up" "Your server still holds connections whose clients take nothing: each keeps a descriptor, a thread and the answer. Give up after a second without progress."
    ForgottenConnection "forgotten-connection" "Your server waits in accept and has this connection open, but does nothing for it."
    BlockedBehindClient "blocked-behind-client" "Your server is still busy with an earlier client, so this one waits."
    DrainWithoutEnd "drain-without-end" "After its last words your server waits for the client to close. A client that never does must not keep the next one waiting: bound the drain in time."
    ServedAtOnce "served-at-once" "The second client was served while the first was still there. This server takes one client after the other."
    InputNotRead "input-not-read" "Your server does not read what the client sends, so the kernels' buffers are full."
    DescriptorsGrew "descriptors-grew" "Open descriptors grow with each client: a socket is not closed."
    ThreadsGrew "threads-grew" "Threads grow with each client and do not end."
    StacksKept "stacks-kept" "Memory grows with each client although its thread has ended: the system keeps the stack of a thread until it is joined or detached. A JoinHandle that is kept keeps it."
    MemoryGrew "memory-grew" "Memory grows with each client."
    ForksWithoutEnd "forks-without-end" "Your program started one process after the other, without end, and was ended before the machine suffered."
    EatsMemory "eats-memory" "Your program took memory without end, and was ended before the machine suffered. What a client can make grow needs a bound."
    TooSlow "too-slow" "Each step came before its deadline, but all together they took longer than a check may."
    SignalIgnored "signal-ignored" "Your program goes on after a signal that should end it."
    RoomLeaks "room-leaks" "A client heard, or was shown, something of another room. Whatever goes to members has to compare their room: lines, those who come and leave, and lists."
    RoomNeverEnds "room-never-ends" "A room that nobody is in is still there. Each name that a client makes up costs memory then: end a room, with its history, when its last member goes, however that goes."
    SecretTold "secret-told" "Words that were for one client, or for the server alone, were heard by others: now, or by those who come later and hear the history."
    PasswordNotChecked "password-not-checked" "A name that has a password was given without it, or the password was compared wrongly. All bytes of the line count, and no others."
    TriesNotCounted "tries-not-counted" "The number of wrong passwords is not bounded as it should be: a client that may guess for ever will find it, and one that mistyped twice should not be put out."
    HistoryWrong "history-wrong" "The history is not what it should be: the last lines that were said in this room, at most so many, in their order, before all that is said from now on."
    HistoryGap "history-gap" "Between the history and what is said, a line was lost, or came twice, or in another order. To read the history and to become a member are two steps, and another thread said something between them: make them one, under one lock."
    HistoryWithoutBound "history-without-bound" "The history grows with all that is said. Take the oldest line out as soon as there is one too many, not only when somebody asks."
    LoopNotWoken "loop-not-woken" "A result does not reach its client, because the loop sleeps in poll and nothing wakes it. A worker has to make a descriptor readable that the loop waits for, too; a timeout of poll only makes the delay shorter."
    ReadsOn "reads-on" "While work of a client runs, your program goes on reading from it, and has to keep what comes: as much as the client likes to send. Read nothing more until its next line may be answered."
    WorkInTheLoop "work-in-the-loop" "While work runs, the loop does not go round, and all clients wait. It does the work itself, or it waits for the pool: for a result, for room in the queue, for a lock that is held over the work."
    StaleResult "stale-result" "A result came to a client that had not asked for it: the one that had is gone, and this one has its place. Give each client a number that is never given again, and throw the result away if that number is gone."
    NotInTurn "not-in-turn" "Round robin was asked for, and a client went to a worker whose turn it was not: each client goes to the worker behind the last one's, whatever else happens."
    FirstOfEquals "first-of-equals" "Workers that have equal numbers of clients do not get equal shares: the first of equals is always taken. Let equals take turns."
    EqualsByChance "equals-by-chance" "Workers that have equal numbers of clients do not get equal shares: chance decides between equals, or something that comes from the client. Let equals take turns."
    DroppedAtHandover "dropped-at-handover" "Clients that were handed to a busy worker were closed, or nobody serves them although it has the time now. A client that was accepted has a place, however many wait: neither wait for room nor throw away."
    NotTheLeast "not-the-least" "A client went to a worker that has more clients than another. Compare the counts of this moment, of all workers, before each client."
    CountedTooLate "counted-too-late" "Clients that come together are counted too late: each when its worker or thread takes it up, and by then the next was let in. Count before you hand a client over."
    BusyWorkerPicked "busy-worker-picked" "A client was given to a worker that is busy, although others have nothing to do. A worker's clients count until they go, whatever it does meanwhile."
    DispatcherWaits "dispatcher-waits" "The thread that accepts waits for one worker, so clients of all others wait, too. To hand over must never wait: for room, for an answer, for a lock that is held over work."
    CrashSpreads "crash-spreads" "A worker panicked, and clients of other workers suffered. A panic must end its own worker's clients only: nothing that others need may be lost or poisoned with it."
    SignalNotCaught "signal-not-caught" "Nothing in your program waits for the signal, so the kernel ended it at once, with all that ran. Register for it before READY."
    RunsOnAfterStop "runs-on-after-stop" "All that ran has been answered, and your program does not end: the thread that should see that is not woken, or waits for something else."
    AnswerLostAtStop "answer-lost-at-stop" "A command or a request ran when the signal came, and its client got no answer. A stop begins with taking nothing new; what runs is finished and answered before the program ends."
    WaitsForSilentClients "waits-for-silent-clients" "The stop waits for clients that wait for nothing, and they may stay for ever. Let go those for whom nothing runs: after shutdown(Read) their threads hear the end."
    AcceptsWhileStopping "accepts-while-stopping" "After the signal clients can still connect. Close the listener first: as long as it is open, the kernel takes clients that nobody will serve."
    QueueForgottenAtStop "queue-forgotten-at-stop" "Clients in the queue were forgotten by the stop: they are served although it stops, or end without a word. Tell them that no worker will come."
    GraceNotKept "grace-not-kept" "Commands that take longer than the grace are cut off when it is over: neither later, nor earlier. Wait for all commands, or until that moment, whichever is first; then cut off the rest."
    FlagIgnored "flag-ignored" "A flag of the command line is not used: another value of it changes nothing. Read it, and hand its value to the place where it counts."
    BusyWhileIdle "busy-while-idle" "Your program wakes up again and again although nothing happens. Wait for what you need, without a timeout or with a long one."
    NeverConnected "never-connected" "Your program has not connected to the server that it was told of."
    NotPassedOn "not-passed-on" "Your program has connected, and does not send what it should."
    NeverHalfClosed "never-half-closed" "Your program sends nothing more, and does not say so: the server still waits. Shut down writing (FIN) and go on reading."
    OneAtATime "one-at-a-time" "Your server serves one client after the other, so that each waits for all before it."
    TooFewAtOnce "too-few-at-once" "Your server serves fewer clients at once than it should: something makes them wait for each other."
    TooManyAtOnce "too-many-at-once" "Your server serves more clients at once than it should: nothing bounds how many."
    WroteBeforeItRead "wrote-before-it-read" "Your server spoke before the client had said anything. In this protocol the client begins."
    OrderBroken "order-broken" "The answers are right, and in another order than the requests. On one connection the order is all that tells which answer belongs to which request."
    WrongClientAnswered "wrong-client-answered" "This client got the answer to another client's request, and that client got none."
    SameProcess "same-process" "This client is not served by a process of its own."
    ParentKeepsSocket "parent-keeps-socket" "The client's process has ended, and the connection is still open: your parent process has the socket, too. A connection ends when the last descriptor of it is closed."
    NoLimit "no-limit" "One client more than the limit came, and was taken. Compare before you start anything for it."
    BusyNotTold "busy-not-told" "A client for whom there is no room is not told. It waits, and does not know for what: answer at once, from the thread that accepts."
    QueueWithoutBound "queue-without-bound" "Your queue takes clients without end. Those at its end wait for an answer that comes too late, and each costs a descriptor: bound it."
    RefusedTooEarly "refused-too-early" "A client was refused although there is room: the limit is too low, or clients that have left are still counted."
    PlaceNotGivenBack "place-not-given-back" "Clients that have gone are still counted. However a handler ends (the end of the stream, an error, a panic), its place has to come back: a guard's Drop does that."
    LostUpdates "lost-updates" "Additions were lost: two threads read the same number, both added to it, and both wrote the result. Read and write have to be one step."
    Deadlock "deadlock" "Threads of your program wait for locks that never become free: two that took the same locks in different orders, or one that takes a lock which it has already."
    CheckThenAct "check-then-act" "What was looked at was changed by another client before it was acted upon. The look and the act are one step: the lock is held from the one to the end of the other."
    HalfDone "half-done" "A change was seen half done. What belongs together is changed, and read, under locks that are held together."
    WorkerNotWoken "worker-not-woken" "A client waits although a thread has nothing else to do: nothing woke it when the client was put in the queue, or it waits for a lock that is held while another client is served."
    LockPoisoned "lock-poisoned" "A thread panicked while it had a lock, and since then every lock() of it answers PoisonError; unwrap makes one client's panic everybody's."
    WorkerLost "worker-lost" "A handler that panicked has ended its worker, and nobody took its place: after as many panics as there are workers, nobody is served any more."
    OutOfTurn "out-of-turn" "A client was served before others that had come earlier: take from the end of the queue at which you do not put in."
    OwnLineBack "own-line-back" "A client got its own line. A line goes to all others: compare who said it before you send it on."
    NotAMemberYet "not-a-member-yet" "A client that has not joined heard what the members say. It belongs into the list when its name is good, and not before."
    NameTakenTwice "name-taken-twice" "Two clients have the same name. To look whether it is free and to take it are two steps, and another thread came between: make them one, under one lock."
    LinesMixed "lines-mixed" "Pieces of the lines of two clients are mixed. A line that is handed over in several pieces lets another thread's in between: put it together first, and hand it over in one step."
    NamesNotInOrder "names-not-in-order" "The list has the right names, and not in their order. A HashMap has no order of its own, and another one in each run: sort the names, or keep them in a BTreeMap."
    LeftUnnoticed "left-unnoticed" "A client has gone, and the others were not told, or its name is still taken. Whatever ends a conversation (a command, the end of the stream, an error), one place in your code has to take the client out and tell the others."
    EndToldTwice "end-told-twice" "The end of one client was told twice. The thread that takes it out of the list tells the others; one that finds it gone says nothing."
    PermissionNotChecked "permission-not-checked" "A command was obeyed that this client may not give. Compare who asks before you act."
    CharacterCut "character-cut" "A character of several bytes came in two pieces, and each piece was decoded by itself. Collect the bytes of a line, and decode the line, or nothing."
    SlowReaderStalls "slow-reader-stalls" "One client reads nothing, and others wait: your server waits in a write to it, and does nothing else meanwhile, or holds a lock that others need. Nobody may wait in a write on another client's behalf."
    Starvation "starvation" "One client sends line after line, and the others starve: your loop goes on with it as long as something is there, and there is always more. In each round, one read for each client that is ready, and the rest of it in the next round."
    OutboxWithoutBound "outbox-without-bound" "What is meant for a client that does not read is kept without end, and fills your memory. Bound how much may wait for one client; over the bound, let it go, or read nothing more from it."
    MoreThanOneThread "more-than-one-thread" "Your program has more than one thread. Here one thread serves all clients, and waits for all of them at once."
    PollNeverWaits "poll-never-waits" "Your loop goes round and round although nothing happens. poll returns at once if an event that you ask for is there and you do not use it: room to send although there is nothing to send, or input (an end, too) that you do not read."
    LinesLeftBehind "lines-left-behind" "Lines that came are not answered, although they were read: together with another line, or when they could not be answered yet (no room, or work that ran). No event will tell of bytes that were read already: look at them again."
    CaseMatters "case-matters" "The case of letters was taken wrongly: commands may be written in any, keys and values keep theirs. Compare only the name of the command without case."
    BlanksMatter "blanks-matter" "Blanks were taken wrongly. Words are separated by one or more spaces or tabs, those at both ends do not count, and a text that is the rest of the line keeps those within it."
    ArgumentsNotChecked "arguments-not-checked" "A command with too few, too many or bad arguments was not refused as it should be. Check all of them before anything is done."
    NumberNotChecked "number-not-checked" "A number was taken that is none, or that does not fit, or a result was computed that does not fit. Look at what parse says, and add with checked_add."
    TextNotChecked "text-not-checked" "Bytes that are no text were not refused as such. Look at the bytes first: valid UTF-8, and no control characters but the tab."
    BadCommandEndsSession "bad-command-ends-session" "After a bad command, or a line that was too long, the conversation ended. A client that made a mistake in one line is told so, and goes on: only its goodbye and the end of the stream end it."
    StoreNotShared "store-not-shared" "A client does not see what another has stored or counted. That belongs to the server, and each thread has a handle of the same one."
    StoreLimit "store-limit" "The limit of the store is not kept as it should be: a new key (or name) beyond it was taken, or one was refused that is there already or has room again."
    HandlerPanicked "handler-panicked" "The thread that served this client panicked, so the client got no answer. Bytes of a client must not be able to do that: an unwrap or an index on them is the usual place."
    FieldNameCase "field-name-case" "A field was not found because its name was written in another case. Names of fields are the same in any case of letters."
    BodyToHead "body-to-head" "The answer to HEAD has a content. It has the fields of the answer to GET, and nothing after its empty line."
    HeadDiffers "head-differs" "A field of the answer to HEAD is not what GET would tell. Make both in the same place, and leave only the content out."
    KeptTooLong "kept-too-long" "The connection should have ended after this answer and did not. The client waits for the end, and the worker for the client."
    WrongType "wrong-type" "The Content-Type is not that of the file. It follows from the end of the name, in any case of letters, and has a value for all others."
    NotAPlainFile "not-a-plain-file" "The path names a directory, a pipe, or something else that is no plain file, and it was not answered with 404. To open a pipe waits for its other end: look at the metadata first."
    EscapesInPaths "escapes-in-paths" "A path was not decoded as it should be. Cut off the query at the first ?, then turn each %XX into its byte, once; refuse what is no hexadecimal, and a byte 0."
    PathEscapes "path-escapes" "A file was served that is not below the root. Look at the parts of the path after it was decoded, refuse .., and look where links lead."
    MethodNotChecked "method-not-checked" "A method that this server does not have was not answered with 405. Look at the method before the path."
    NoAllow "no-allow" "The answer 405 must say in the field Allow which methods there are (RFC 9110, section 15.5.6)."
    FileInMemory "file-in-memory" "A long file is in memory as a whole, once for each client that reads it. Copy it in pieces."
    WorkersGone "workers-gone" "Clients that broke off have ended your workers, or still keep them. However a conversation ends, its worker has to take the next client."
    NotKeptAlive "not-kept-alive" "The connection ended after an answer, or said that it will, or nothing more was read from it. In HTTP/1.1 it stays for the next request unless one side says Connection: close."
    RequestsWithoutLimit "requests-without-limit" "A connection serves more requests than it may. Count them, say Connection: close in the last answer, and close."
    ContentWhereNone "content-where-none" "The answer 204 has no content and no field that tells a length: the head is all of it."
    BodyTakenForRequest "body-taken-for-request" "The body of a request that no page wanted was taken for the next request, or the next request was lost with it. A body is read to its end, whatever the answer is."
    ChunksToOldClient "chunks-to-old-client" "A client of HTTP/1.0 was answered in chunks, which it does not know. For it the end of the connection is the end of the content."
    ContinueNotSent "continue-not-sent" "The client asked with Expect: 100-continue before it sends its body, and waits. Answer 100 Continue, or refuse, before you read the body."
    WrongSite "wrong-site" "Another site answered than the one that was asked for, or none. Its name is compared without case and without the port, as a whole; an absolute target has it in place of Host; a name that is not here is 421."
    ConnectionNotTold "connection-not-told" "The answer does not say what becomes of the connection. The last one has Connection: close; one to a client of HTTP/1.0 whose connection stays has Connection: keep-alive."
    NoIdleTimeout "no-idle-timeout" "A client that asks for nothing stays for ever, and keeps a descriptor, a thread and a place. Let it go after the idle timeout."
    DeadlineRenewed "deadline-renewed" "A client that sends a byte now and then is never let go. A read timeout begins anew with each byte: the head needs one moment at which it must be whole."
    TimeoutTooEarly "timeout-too-early" "A client was let go although it was not idle for so long. The time runs from the end of the last answer to the end of the next head, and not while a request is answered."
    WordsToSilentClient "words-to-silent-client" "A client that asked for nothing was told 408. It may take that for the answer to the request that it is just sending: end without a word."
    NoRetryAfter "no-retry-after" "The answer 503 must say in Retry-After after how many seconds the client may come again, or all come again at once."
    WrongNumbers "wrong-numbers" "The health page does not tell what it should: `ok`, then `active`, `refused` and `requests`, a line each, with numbers that are right at that moment."
    LogNotEscaped "log-not-escaped" "Bytes of a client stand in the log as they came. A client can colour the terminal of the reader, and write lines that never happened: escape them."
    NotTheReport "not-the-report" "The report on stdout does not have the form of the task: a name and its numbers a line, in that order, and `none` where there are no times."
    WrongRequests "wrong-requests" "The server did not get the requests that it should: the line `ECHO k` for each number from 0 on, each of them once, whatever becomes of it."
    RequestsNotCounted "requests-not-counted" "The numbers of the report do not add up. Each request that is started ends under exactly one name, and the sum of the names is the number of requests."
    AnswersNotCounted "answers-not-counted" "Requests that were answered stand under another name. An answer is a failure only if it is another line, or comes too late."
    FailureTakenForAnswer "failure-taken-for-answer" "Requests that failed were counted as answered. A server that fails quickly looks fast then: an answer counts when the whole line has come, in time."
    FailureMisnamed "failure-misnamed" "Failures were counted under another name than their own. The name is what helps to find the reason."
    AnswerNotCompared "answer-not-compared" "A line that is not the answer was counted as answered. Read the line and compare it: a server under load may answer `busy`, or what another client wanted."
    ReadTakenForAnswer "read-taken-for-answer" "An answer that came in pieces was counted as a failure. TCP has no messages: one read may bring a part of the line. Read until the line has its end."
    KeptAfterFailure "kept-after-failure" "A connection was used again on which a request had failed. What still comes on it is the answer to that request, and would be taken for the next one's. Close it, and make a new one."
    NoTimeout "no-timeout" "A server that does not answer is waited for without end. A request has a timeout: set it before you read, and count what has no answer then."
    AnswerWithoutDeadline "answer-without-deadline" "An answer that comes byte by byte was waited for longer than the timeout. A read timeout begins anew with each byte: the request needs one moment at which it must be answered."
    RunNeverEnds "run-never-ends" "All requests were answered or have failed, and your program does not end. Each thread must see that there are no more requests, and main must join them all."
    ClientsTakeTurns "clients-take-turns" "Your clients wait for each other, so the server never has as many requests as there are clients. A lock is held while one of them asks, or one thread does the work of all."
    ConnectionForEachRequest "connection-for-each-request" "A new connection was made for requests although the old one was good. Then the making of connections is measured. Keep the connection as long as its answers are right."
    WrongPercentile "wrong-percentile" "A percentile is the time at another rank. Put the times in order; the rank is count × percent / 100, rounded up, and counted from 1."
    WrongTimes "wrong-times" "The times in the report are not those that passed. Take the time before the request is sent and after its whole answer has come, from a monotonic clock, and print milliseconds."
    FailuresInTimes "failures-in-times" "Requests that failed are in the times. A timeout says how long you waited, a quick refusal how fast a server fails: both say nothing about its answers."
    WrongThroughput "wrong-throughput" "The throughput is not the number of answers in each second of the whole run."
    SentTooEarly "sent-too-early" "A request was sent before it was due. Request k is due k / rate seconds after the beginning, for all clients together, and its client waits until then."
    CoordinatedOmission "coordinated-omission" "Requests that had to wait until a client was free are told with less time than they took. Count each from the moment at which it was due, which is fixed beforehand, and not from when you could send it: else the tester stands still together with the server, and leaves out what users would have felt."
    ServiceFromDue "service-from-due" "The service time has in it that the request waited for a free client. Count it from the moment at which a client took the request up."
    NotHttp "not-http" "The answer is no HTTP: it must begin with a status line such as `HTTP/1.1 200 OK`. If it is not the first on this connection, the answer before it was longer than it said."
    HeadWithoutEnd "head-without-end" "The head of the answer has no end, or a line of it is none: each line ends with CR LF, each field has its colon, and an empty line (CR LF) follows the last field."
    WrongLength "wrong-length" "The Content-Length of the answer is not the number of bytes of its content. Count what you send."
    LengthInCharacters "length-in-characters" "The length in the answer counts characters. It has to count bytes, and a character may have several."
    TwoLengths "two-lengths" "The answer has Content-Length and Transfer-Encoding. A receiver cannot know which to believe: send one of them."
    AnswerWithoutLength "answer-without-length" "The answer has no Content-Length and no chunks, and the connection stays open: the client cannot know where its content ends, and waits."
    BadChunks "bad-chunks" "The chunks of the answer cannot be read: size in hexadecimal, CR LF, so many bytes, CR LF; at the end 0, CR LF, CR LF."
    ReadTakenForRequest "read-taken-for-request" "A request that came in pieces was not understood. TCP has no messages: one read may bring half a head, or a head and a part of the body. Go on reading until the whole request is there."
    NextRequestLost "next-request-lost" "Requests came together, and not all of them were answered as they should be. What a read brings beyond one request is the beginning of the next: keep it, and look at it before you read again."
    TwoReadings "two-readings" "A request that can be read in two ways was not refused. The next program may read it in the other way, and find a request hidden in it: refuse it with 400, and close."
    BareLineEnd "bare-line-end" "An LF without CR, or a CR without LF, was not refused. Programs differ in what they take for the end of a line, so both are refused, as soon as they come."
    HeadNotChecked "head-not-checked" "A head that breaks the rules was not refused. Other programs would read it in another way: answer 400, and close."
    HostNotChecked "host-not-checked" "A request of HTTP/1.1 must have one Host. Without it, or with two, it has to be refused with 400."
    ChunkNotChecked "chunk-not-checked" "A body whose chunks break the rules was not refused. A size is hexadecimal digits alone, it has to fit, and CR LF follows so many bytes."
    HeadWithoutLimit "head-without-limit" "A part of a request that is far too long, or has no end, was not refused. Compare with the limit before you keep more, also while the end has not come."
    GoesOnAfterError "goes-on-after-error" "After a request that was refused, the connection went on. Where the next request begins is not known then: say Connection: close, and close."
    HalfARequestTaken "half-a-request-taken" "The stream ended in the middle of a request, and your server answered what had come as if it were whole. An early end is an error."
    BodyCollected "body-collected" "Your program keeps a body as long as it comes, so a client decides how much memory that takes. Pass each piece on, and keep how much is missing."
    ChunkSizeMisread "chunk-size-misread" "A body in chunks was not read as it should be. The size is hexadecimal; extensions may follow it, and trailers the last chunk."
    WrongStatus "wrong-status" "The answer has another status than the one that the task names for this."
    RefusedWithoutAnswer "refused-without-answer" "Your server closed the connection where an answer with the reason should have come. The client cannot know what was wrong."
    GoodRequestRefused "good-request-refused" "A request that is right was refused, or the server failed at it."
    ZombieChildren "zombie-children" "Children have ended and nobody has waited for them: each keeps its entry in the process table."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_a_page_that_names_it_and_shows_a_command() {
        for cause in Cause::ALL {
            let page = cause.page();
            let (name, lines) = (cause.name(), page.lines().count());
            assert!(page.starts_with(&format!("# {name}\n")), "{name}");
            assert!((6..60).contains(&lines), "{name} has {lines} lines");
            assert!(page.lines().all(|line| line.len() <= 100), "{name} is wider than 100 columns");
        }
    }

    #[test]
    fn names_are_unique() {
        for (at, cause) in Cause::ALL.iter().enumerate() {
            assert!(Cause::ALL[..at].iter().all(|other| other.name() != cause.name()), "{}", cause.name());
        }
    }
}
