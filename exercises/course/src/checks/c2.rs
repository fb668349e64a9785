//! Clinic 2, a broken server: partial data, an embedded zero, a second client, errors.

use crate::{
    catalog::Check,
    checks::standing,
    client::Client,
    problem::{Problem, Topic},
    stage::Stage,
    transcript::show,
};
use std::time::Duration;

/// In the order in which they run.
pub(crate) const CHECKS: &[Check] = &[
    Check { name: "one-line", promise: "one client types one line, and it comes back", run: one_line },
    Check {
        name: "shorter-line",
        promise: "a line comes back as it is, also after a longer one, and `quitter` is one",
        run: shorter_line,
    },
    Check {
        name: "partial-data",
        promise: "a line may come in pieces, and several at once; each is answered when it is complete",
        run: partial_data,
    },
    Check { name: "embedded-zero", promise: "a line may have any bytes, a zero among them", run: embedded_zero },
    Check { name: "long-line", promise: "a line of 100,000 bytes comes back whole", run: long_line },
    Check {
        name: "half-close",
        promise: "a client that sends nothing more gets its answers, then the end",
        run: half_close,
    },
    Check {
        name: "last-words",
        promise: "the goodbye arrives, whatever the client has sent behind quit",
        run: last_words,
    },
    Check {
        name: "second-client",
        promise: "a second client is served, at the latest when the first has gone, and hears nothing of it",
        run: second_client,
    },
    Check { name: "errors", promise: "a client that breaks off ends itself and not the server", run: errors },
    Check { name: "leaves-nothing", promise: "a hundred clients leave nothing behind", run: leaves_nothing },
];

const GOODBYE: &[u8] = b"Goodbye!\n";

/// Sends a line, and hears it.
fn echo(stage: &Stage, client: &mut Client, line: &[u8]) -> Result<(), Problem> {
    client.send(line)?;
    stage.expect_soon(client, line, &format!("the same line back: {}", show(line)))
}

fn quit(stage: &Stage, mut client: Client) -> Result<(), Problem> {
    client.send(b"quit\n")?;
    stage.expect_soon(&mut client, GOODBYE, "the goodbye")?;
    client.expect_end("FIN after the goodbye")?;
    client.close();
    Ok(())
}

fn one_line(stage: &mut Stage) -> Result<(), Problem> {
    let line = stage.line();
    let mut client = standing::connected(stage)?;
    echo(stage, &mut client, &line)
}

fn shorter_line(stage: &mut Stage) -> Result<(), Problem> {
    let line = stage.line();
    let mut client = standing::connected(stage)?;
    let about = |problem: Problem| problem.about(Topic::ShorterLine);
    echo(stage, &mut client, &line)?;
    let lines =
        [&b"hi\n"[..], b"\n", b"with CR LF\r\n", b"quitter\n", b"quit now\n", b" quit\n", b"quit \n", b"QUIT\n"];
    for line in lines {
        echo(stage, &mut client, line).map_err(about)?;
        client.expect_quiet("nothing more: the line is answered").map_err(about)?;
    }
    Ok(())
}

fn partial_data(stage: &mut Stage) -> Result<(), Problem> {
    let about = |problem: Problem| problem.about(Topic::HalfALine);
    let lines = [stage.line(), stage.line(), stage.line()];
    let cut = 1 + stage.below(lines[2].len() - 2);
    let mut client = standing::connected(stage)?;
    client.send(&lines[0][..cut.min(8)])?;
    client.expect_quiet("nothing yet: the line has no end so far").map_err(about)?;
    client.send(&lines[0][cut.min(8)..])?;
    stage.expect_soon(&mut client, &lines[0], "the whole line back").map_err(about)?;
    client.send_bytewise(&lines[1])?;
    stage.expect_soon(&mut client, &lines[1], "the line back that came byte by byte").map_err(about)?;
    client.send(&[&lines[0], &lines[1], &lines[2][..cut]].concat())?;
    let both = [&lines[0][..], &lines[1]].concat();
    let several = |problem: Problem| problem.about(Topic::SeveralLines);
    stage.expect_soon(&mut client, &both, "both complete lines back").map_err(several)?;
    client.expect_quiet("nothing yet of the third line: it has no end so far").map_err(about)?;
    client.send(&lines[2][cut..])?;
    stage.expect_soon(&mut client, &lines[2], "the third line back, whole").map_err(several)
}

fn embedded_zero(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    for line in [&b"a zero \0 and more\n"[..], b"\0\n", b"\0\0two at the beginning\n", b"caf\xe9 \xff\xfe\n", b"\xc3\n"]
    {
        echo(stage, &mut client, line)?;
    }
    Ok(())
}

fn long_line(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    for length in [1023, 1024, 1025, 100_000] {
        let line = [stage.payload(length), b"\n".to_vec()].concat();
        echo(stage, &mut client, &line)?;
        client
            .expect_quiet("nothing more: the line is answered")
            .map_err(|problem| problem.about(Topic::ShorterLine))?;
    }
    quit(stage, client)?;
    // For a client that reads slowly, one write has no room for all of it.
    let mut slow = stage.connect_narrow()?;
    let mut lines = Vec::new();
    for length in [50_000, 50_000, 100_000] {
        let line = [stage.payload(length), b"\n".to_vec()].concat();
        slow.send(&line)?;
        lines.extend(line);
    }
    let heard = slow.expect_slowly(&lines, 16 * 1024, Duration::from_millis(1), "three long lines back, whole");
    heard.map_err(|problem| problem.about(Topic::SlowReader))
}

fn half_close(stage: &mut Stage) -> Result<(), Problem> {
    let about = |problem: Problem| problem.about(Topic::HalfClosed);
    let lines = [stage.line(), stage.line()].concat();
    for rest in ["", "half a li"] {
        let mut client = standing::connected(stage)?;
        client.send(&[&lines[..], rest.as_bytes()].concat())?;
        client.finish();
        stage.expect_soon(&mut client, &lines, "the answers to what was sent before the FIN").map_err(about)?;
        client.expect_end("then the end of the stream").map_err(about)?;
        client.close();
    }
    Ok(())
}

fn last_words(stage: &mut Stage) -> Result<(), Problem> {
    let mut client = standing::connected(stage)?;
    client.send(&[b"quit\n", &[b'x'; 65_536][..]].concat())?;
    stage.expect_soon(&mut client, GOODBYE, "\"Goodbye!\\n\", then FIN")?;
    standing::ends_without_reset(stage, &mut client, "FIN after the goodbye, and no reset behind it")?;
    // This client has not closed its side and will not.
    let mut next = stage.connect()?;
    next.send(b"quit\r\n")?;
    next.expect(GOODBYE, "the goodbye to a quit that ends with CR LF")
        .map_err(|problem| problem.about(Topic::AfterGoodbye))?;
    next.expect_end("FIN after the goodbye")
}

fn second_client(stage: &mut Stage) -> Result<(), Problem> {
    let (one, two) = (stage.line(), stage.line());
    let mut first = standing::connected(stage)?;
    echo(stage, &mut first, &one)?;
    let mut second = stage.connect()?;
    second.send(&two)?;
    // Half a line of the first is no part of the second's.
    first.send(b"the first one's half")?;
    first.close();
    second.expect(&two, "the second client's line back, now that the first has gone")?;
    quit(stage, second)?;
    for _ in 0..3 {
        let client = stage.connect()?;
        quit(stage, client)?;
    }
    Ok(())
}

fn errors(stage: &mut Stage) -> Result<(), Problem> {
    for bytes in [&b""[..], b"half a li", b"a line\n"] {
        let mut client = standing::connected(stage)?;
        client.send(bytes)?;
        client.abort();
    }
    // This one breaks off while the server has much to say to it.
    let mut client = stage.connect()?;
    client.send(&[&[b'y'; 200_000][..], b"\n"].concat())?;
    client.abort();
    let line = stage.line();
    let mut client = stage.connect()?;
    echo(stage, &mut client, &line).map_err(|problem| problem.about(Topic::AfterBrokenClient))?;
    stage.expect_no_panic("that an error of a connection ends that connection, and is logged as one")
}

fn visit(stage: &mut Stage) -> Result<(), Problem> {
    let line = stage.line();
    let mut client = standing::connected(stage)?;
    echo(stage, &mut client, &line)?;
    quit(stage, client)
}

fn leaves_nothing(stage: &mut Stage) -> Result<(), Problem> {
    standing::leaves_nothing(stage, visit, |stage| {
        for _ in 0..40 {
            visit(stage)?;
            let line = stage.line();
            let mut client = stage.connect()?;
            echo(stage, &mut client, &line)?;
            client.abort();
            stage.connect()?.close();
        }
        visit(stage)
    })
}
