//! Python's httpx, whose HTTP/2 is the library `h2` of Python: a third implementation.

use super::{Peer, Scene, site};

/// One thread: several would meet in that library's own state.
const SCRIPT: &str = r#"
import asyncio, httpx, sys

async def pieces():
    for _ in range(4):
        yield b"x" * 50_000

async def main(url, http2, version):
    async with httpx.AsyncClient(http1=not http2, http2=http2, verify="ca.pem", base_url=url) as client:
        answers = await asyncio.gather(*(client.get(f"/item/{number}") for number in range(40)))
        for number, answer in enumerate(answers):
            assert (answer.http_version, answer.text) == (version, f"item {number}"), answer
        answer = await client.post("/length", content=pieces())
        assert answer.text == "200000", answer.text
        async with client.stream("GET", "/events") as answer:
            heard = ""
            async for text in answer.aiter_text():
                heard += text
                if heard.count("data") == 2:
                    break
        # It has given up one answer, and the others do not notice.
        assert (await client.get("/large")).text == "0123456789" * 100_000

asyncio.run(main(sys.argv[1], True, "HTTP/2"))
asyncio.run(main(sys.argv[1], False, "HTTP/1.1"))
print("all well")
"#;

#[test]
fn httpx_speaks_both_versions() {
    // A Python of the user's own may lack what the system's has.
    let Some(python) = Peer::find(&["python3", "/usr/bin/python3"], &["-c", "import httpx, h2"]) else { return };
    let scene = Scene::new(site::start(), &[]);
    scene.run(python, &["-c", SCRIPT, &scene.url("")], "").expect("all well\n");
    scene.expect_no_complaint();
}
