//! Exercise 6, the echo server.

use crate::{
    catalog::Check,
    checks::standing,
    client::Client,
    problem::{Problem, Resource, Topic},
    stage::Stage,
};
use std::time::Duration;

/// In the order in which they run.
pub(crate) const CHECKS: &[Check] = &[
    Check {
        name: "greets",
        promise: "each client is greeted at once with a line that begins with Welcome",
        run: greets,
    },
    Check { name: "echoes-line", promise: "a line comes back as it was sent, whatever bytes it has", run: echoes_line },
    Check {
        name: "split-line",
        promise: "a line may arrive in pieces; it is answered when it is complete",
        run: split_line,
    },
    Check {
        name: "two-lines-one-segment",
        promise: "several lines may arrive at once; each is answered, and what is begun is kept",
        run: two_lines_one_segment,
    },
    Check {
        name: "half-close",
        promise: "a client that sends nothing more still gets its answers, then the end",
        run: half_close,
    },
    Check {
        name: "quit-with-pending-input",
        promise: "the goodbye must arrive even if the client has already sent more",
        run: quit_with_pending_input,
    },
    Check {
        name: "rst-mid-line",
        promise: "a client that breaks off ends itself and not the server",
        run: rst_mid_line,
    },
    Check {
        name: "next-client-after-failure",
        promise: "nothing of one client is left for the next",
        run: next_client_after_failure,
    },
    Check {
        name: "one-after-the-other",
        promise: "a second client waits until the first has gone, and is served then",
        run: one_after_the_other,
    },
    Check {
        name: "logs-each-client",
        promise: "one line on stderr for each client that has gone",
        run: logs_each_client,
    },
    Check {
        name: "two-hundred-clients",
        promise: "two hundred clients leave nothing behind: no descriptor, no thread, no memory",
        run: two_hundred_clients,
    },
];

const GREETING: &str = "a greeting: one line that begins with Welcome";
const GOODBYE: &[u8] = b"Goodbye!\n";

/// A server, and a client that was greeted.
fn greeted(stage: &mut Stage) -> Result<Client, Problem> {
    if stage.student.is_none() {
        stage.serve()?;
    }
    let mut client = stage.connect()?;
    client.expect_line("Welcome", GREETING)?;
    Ok(client)
}

fn greets(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = greeted(stage)?;
    client.expect_quiet("nothing more before the client has said something")
}

fn echoes_line(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = greeted(stage)?;
    client.expect_echo(&stage.line())?;
    for line in [
        &b"\n"[..],
        b"  two spaces before, one behind \n",
        b"caf\xe9, and a NUL: \0.\n",
        b"with CR LF\r\n",
        b"quitter\n",
        b"QUIT\n",
        b" quit \n",
    ] {
        client.expect_echo(line)?;
    }
    // Longer than any buffer that somebody would begin with.
    let long: Vec<u8> = (0..100_000u32).map(|at| b'a' + (at % 26) as u8).chain([b'\n']).collect();
    client.expect_echo(&long)?;
    client.close();
    // For a client that reads slowly, one write has no room for all of the line.
    let long = long.repeat(4).into_iter().filter(|byte| *byte != b'\n').chain([b'\n']).collect::<Vec<_>>();
    let mut slow = stage.connect_narrow()?;
    slow.expect_line("Welcome", GREETING)?;
    slow.send(&long)?;
    let wanted = "the same line back, 400,000 bytes and its end";
    let heard = slow.expect_slowly(&long, 16 * 1024, Duration::from_millis(1), wanted);
    heard.map_err(|problem| problem.about(Topic::SlowReader))
}

fn split_line(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = greeted(stage)?;
    let line = stage.line();
    let cut = 1 + stage.below(line.len() - 2);
    client.send(&line[..cut])?;
    client
        .expect_quiet("nothing yet: the line has no end so far")
        .map_err(|problem| problem.about(Topic::HalfALine))?;
    client.send(&line[cut..])?;
    client.expect(&line, "the whole line back").map_err(|problem| problem.about(Topic::HalfALine))?;
    let line = stage.line();
    client.send_bytewise(&line)?;
    client.expect(&line, "the line back that came byte by byte").map_err(|problem| problem.about(Topic::HalfALine))
}

fn two_lines_one_segment(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = greeted(stage)?;
    let lines: Vec<Vec<u8>> = (0..3).map(|_| stage.line()).collect();
    let cut = 1 + stage.below(lines[2].len() - 2);
    client.send(&[&lines[0], &lines[1], &lines[2][..cut]].concat())?;
    let both = [&lines[0][..], &lines[1]].concat();
    client.expect_several(&both, "both complete lines back")?;
    client.send(&lines[2][cut..])?;
    client.expect(&lines[2], "the third line back, whole").map_err(|problem| problem.about(Topic::SeveralLines))
}

fn half_close(stage: &mut Stage) -> Result<(), Problem> {
    let about = |problem: Problem| problem.about(Topic::HalfClosed);
    for (last, wanted) in [
        (&b""[..], "then the end of the stream"),
        (b"half a line", "then the end of the stream: half a line is not answered"),
    ] {
        let mut client = greeted(stage)?;
        let lines = [stage.line(), stage.line()].concat();
        client.send(&[&lines[..], last].concat())?;
        client.finish();
        client.expect(&lines, "the answers to what was sent before the FIN").map_err(about)?;
        client.expect_end(wanted).map_err(about)?;
        client.close();
    }
    Ok(())
}

fn quit_with_pending_input(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = greeted(stage)?;
    client.send(&[b"quit\n", &[b'x'; 65_536][..]].concat())?;
    client.expect(GOODBYE, "\"Goodbye!\\n\", then FIN")?;
    standing::ends_without_reset(stage, &mut client, "FIN after the goodbye, and no reset behind it")?;
    // This client has not closed its side and will not: the server has to go on without it.
    let mut next = stage.connect()?;
    next.expect_line("Welcome", "the next client's greeting").map_err(|problem| problem.about(Topic::AfterGoodbye))?;
    client.close();
    next.send(b"quit\r\n")?;
    next.expect(GOODBYE, "the goodbye to a quit that ends with CR LF")?;
    next.expect_end("FIN after the goodbye")
}

fn rst_mid_line(stage: &mut Stage) -> Result<(), Problem> {
    for _ in 0..3 {
        let mut client = greeted(stage)?;
        let line = stage.line();
        client.send(&line[..1 + stage.below(line.len() - 2)])?;
        client.abort();
    }
    // This one breaks off while the server has much to say to it.
    let mut client = greeted(stage)?;
    client.send(&[&[b'y'; 200_000][..], b"\n"].concat())?;
    client.abort();
    let mut client = stage.connect()?;
    client.expect_line("Welcome", GREETING).map_err(|problem| problem.about(Topic::AfterBrokenClient))?;
    client.expect_echo(&stage.line()).map_err(|problem| problem.about(Topic::AfterBrokenClient))
}

fn next_client_after_failure(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = greeted(stage)?;
    client.expect_echo(&stage.line())?;
    let line = stage.line();
    client.send(&line[..line.len() - 1])?;
    client.close();
    stage.connect()?.close();
    let mut client = greeted(stage)?;
    client.expect_echo(&stage.line())?;
    client.expect_echo(b"\n")
}

fn one_after_the_other(stage: &mut Stage) -> Result<(), Problem> {
    let mut first = greeted(stage)?;
    let mut second = stage.connect()?;
    let line = stage.line();
    second.send(&line)?;
    second
        .expect_quiet("nothing yet: this server serves one client at a time")
        .map_err(|problem| problem.about(Topic::Turn))?;
    first.expect_echo(&stage.line())?;
    first.send(b"quit\n")?;
    first.expect(GOODBYE, "the goodbye")?;
    first.expect_end("FIN after the goodbye")?;
    first.close();
    second.expect_line("Welcome", "the second client's greeting, now that the first has gone")?;
    second.expect(&line, "the second client's line back")
}

fn logs_each_client(stage: &mut Stage) -> Result<(), Problem> {
    for requests in [3, 1] {
        let mut client = greeted(stage)?;
        let address = client.address().map_or_else(|_| String::new(), |address| address.to_string());
        for _ in 1..requests {
            client.expect_echo(&stage.line())?;
        }
        client.send(b"quit\n")?;
        client.expect(GOODBYE, "the goodbye")?;
        client.close();
        let wanted = format!("client {address} handled {requests} requests");
        stage.expect_log(&format!("`{wanted}` on stderr (quit counts)"), |line| line.contains(&wanted))?;
    }
    // It has gone, for whatever reason.
    let mut client = greeted(stage)?;
    let address = client.address().map_or_else(|_| String::new(), |address| address.to_string());
    client.expect_echo(&stage.line())?;
    client.send(b"half a line")?;
    client.abort();
    let wanted = format!("client {address} handled 1 requests");
    let told = format!("`{wanted}` on stderr, also if the client broke off");
    stage.expect_log(&told, |line| line.contains(&wanted))
}

fn two_hundred_clients(stage: &mut Stage) -> Result<(), Problem> {
    for _ in 0..20 {
        visit(stage)?;
    }
    const WATCHED: [(Resource, u64); 4] =
        [(Resource::Descriptors, 3), (Resource::Threads, 2), (Resource::Zombies, 0), (Resource::Memory, 4096)];
    let before = WATCHED.map(|(what, _)| stage.amount(what));
    for _ in 0..16 {
        visit(stage)?;
    }
    // And some that come at once: they wait in the kernel's queue.
    let mut waiting = Vec::new();
    for _ in 0..10 {
        waiting.push(stage.connect()?);
    }
    for client in waiting {
        part_of_crowd(stage, client)?;
    }
    for _ in 0..174 {
        visit(stage)?;
    }
    WATCHED.into_iter().zip(before).try_for_each(|((what, some), before)| stage.expect_flat(what, before, some))
}

fn visit(stage: &mut Stage) -> Result<(), Problem> {
    if stage.student.is_none() {
        stage.serve()?;
    }
    let client = stage.connect()?;
    part_of_crowd(stage, client)
}

fn part_of_crowd(stage: &mut Stage, mut client: Client) -> Result<(), Problem> {
    client.expect_line("Welcome", GREETING)?;
    client.expect_echo(&stage.line())?;
    client.send(b"quit\n")?;
    client.expect(GOODBYE, "the goodbye")?;
    client.expect_end("FIN after the goodbye")?;
    client.close();
    Ok(())
}
