//! The page for people on the admin listener: what it says in a browser, and what it may do there.

use crate::{
    PLAIN, Stage,
    support::{
        browser::{Browser, Page, Setting},
        mortal::Mortal,
        process::wait_until,
        raw::Conn,
    },
};
use serde_json::{Value, json};

/// The text of the element that is found so; empty if there is none.
fn text(page: &mut Page, selector: &str) -> String {
    let found = page.value(&format!("document.querySelector({})?.textContent ?? ''", json!(selector)));
    found.as_str().unwrap().to_owned()
}

/// Two upstreams: one of two servers that are probed, and one whose name is markup.
fn config(web: [&Mortal; 2], evil: &Mortal) -> String {
    format!(
        "{PLAIN}[admin]\nlisten = \"127.0.0.1:0\"\nhosts = [\"test\"]\n[[site]]\nhosts = [\"a\"]\nupstream = \"web\"\n\
         [[site]]\nhosts = [\"b\"]\nupstream = \"<script>window.evil=1</script>\"\n\
         [upstream.web]\nservers = [\"{}\", \"{}\"]\n\
         health = {{ interval = \"50ms\", fail-after = 1, recover-after = 1 }}\n\
         [upstream.\"<script>window.evil=1</script>\"]\nservers = [\"{}\"]\nhealth = {{ probes = false }}\n",
        web[0].name(),
        web[1].name(),
        evil.name()
    )
}

/// Asks for pages until the number on that tile is more than nothing.
fn ask_until_it_counts(page: &mut Page, stage: &Stage) {
    let mut client = Conn::open(stage.proxy.address());
    wait_until("requests per second", || {
        (0..20).for_each(|_| drop(client.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n")));
        !["–", "0"].contains(&text(page, "#rate strong").as_str())
    });
}

/// Presses Tab until the element of that name has the focus.
fn tab_to(page: &mut Page, id: &str) {
    for _ in 0..40 {
        if page.value("document.activeElement.id") == id {
            return;
        }
        page.press("Tab", 9, 0);
    }
    panic!("no way to {id} by keyboard");
}

#[test]
fn the_page_shows_a_proxy_that_runs() {
    let Some(browser) = Browser::open(Setting::default()) else { return };
    let [mut one, two, evil] = ["one", "two", "evil"].map(Mortal::saying);
    let stage = Stage::new(&config([&one, &two], &evil), 1);
    let mut page = Page::open(&browser, &format!("http://{}/", stage.proxy.admin()));
    // Script and style have passed the policy.
    page.wait_for("document.querySelector('#state').textContent === 'running'");
    assert_eq!(page.value("getComputedStyle(document.querySelector('.tiles')).display"), "grid");
    ask_until_it_counts(&mut page, &stage);
    page.wait_for("document.querySelectorAll('#upstreams .pill.good').length === 3");
    page.wait_for("document.querySelector('#latency strong').textContent.endsWith('s')");
    assert!(text(&mut page, "#about").starts_with(&format!("version {}, up ", env!("CARGO_PKG_VERSION"))));
    shots(&mut page, "live-up");

    one.kill();
    page.wait_for("document.querySelectorAll('#upstreams .pill.bad').length === 1");
    assert_eq!(text(&mut page, "#upstreams tr.bad .name"), one.name());
    assert!(text(&mut page, "#upstreams tr.bad .why").contains("failed probe"), "{}", text(&mut page, "#upstreams"));
    page.wait_for("document.title.startsWith('1 down')");
    shots(&mut page, "live-down");
    one.revive();
    page.wait_for("document.querySelectorAll('#upstreams .pill.good').length === 3");

    // Markup is text.
    assert!(text(&mut page, "#upstreams").contains("<script>window.evil=1</script>"));
    assert_eq!(page.value("document.querySelectorAll('#upstreams script, #said img').length + (window.evil ?? 0)"), 0);
    it_gives_orders(&mut page, &stage, &two.name());
    it_reloads_by_keyboard(&mut page, &stage);
    it_says_that_no_answer_comes(&mut page, &stage);
}

/// A server is drained by a click, and put back and weighted by keyboard alone.
fn it_gives_orders(page: &mut Page, stage: &Stage, server: &str) {
    let row = format!(
        "[...document.querySelectorAll('#upstreams tr')].find(row => row.children[0].textContent === {})",
        json!(server)
    );
    let known = || {
        let stats = stage.proxy.stats();
        stats["backends"].as_array().unwrap().iter().find(|row| row["name"] == server).unwrap().clone()
    };
    page.value(&format!("{row}.querySelector('.act button').click()"));
    page.wait_for(&format!("{row}.querySelector('.pill').textContent === 'draining'"));
    page.wait_for("document.querySelector('#said').textContent.includes(' is ordered drain, ')");
    assert_eq!(known()["health"]["state"], "draining");
    shots(page, "live-drained");
    // The focus has stayed on the button, which now does the reverse.
    page.wait_for(&format!("document.activeElement === {row}.querySelector('.act button')"));
    page.wait_for("document.activeElement.textContent === 'Up' && !document.activeElement.disabled");
    page.press("Enter", 13, 0);
    page.wait_for(&format!("{row}.querySelector('.pill').textContent !== 'draining'"));
    page.wait_for("document.activeElement.textContent === 'Drain' && !document.activeElement.disabled");
    // The dialog: another weight.
    page.press("Tab", 9, 0);
    page.press("Enter", 13, 0);
    page.wait_for("document.querySelector('#change').open");
    shots(page, "live-dialog");
    page.press("Tab", 9, 0);
    assert_eq!(page.value("document.activeElement.id"), "weight");
    page.value("document.activeElement.select()");
    page.type_line("7");
    page.wait_for("document.querySelector('#said').textContent.includes(', weight 7;')");
    assert_eq!(known()["weight"], 7);
    // One that is closed changes nothing.
    page.wait_for("!document.activeElement.disabled && document.activeElement.textContent === 'Change…'");
    page.press("Enter", 13, 0);
    page.wait_for("document.querySelector('#change').open");
    page.press("Escape", 27, 0);
    page.wait_for("!document.querySelector('#change').open");
    assert_eq!(known()["weight"], 7);
}

/// The page tells the changes, or the mistake in the file. That has markup in it, too.
fn it_reloads_by_keyboard(page: &mut Page, stage: &Stage) {
    let file = stage.folder.path().join("proxy.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    let mut reload = |config: &str, expected: &str| {
        stage.write(config);
        page.wait_for("!document.querySelector('#reload').disabled");
        tab_to(page, "reload");
        page.press("Enter", 13, 0);
        page.wait_for(&format!("document.querySelector('#said').textContent.includes({})", json!(expected)));
    };
    reload(&format!("workers = 7\n{config}"), "workers");
    reload(
        &format!("\"<img src=x onerror=window.evil=2>\" = 1\n{config}"),
        "no key `<img src=x onerror=window.evil=2>`",
    );
    assert_eq!(page.value("document.querySelectorAll('#said img').length + (window.evil ?? 0)"), 0);
    page.wait_for("document.querySelector('#configuration').textContent.endsWith('1 reload · the last reload failed')");
    stage.write(&config);
}

fn it_says_that_no_answer_comes(page: &mut Page, stage: &Stage) {
    stage.proxy.signal("STOP");
    page.wait_for("document.querySelector('#state').textContent.startsWith('no answer since ')");
    shots(page, "live-gone");
    stage.proxy.signal("CONT");
    page.wait_for("document.querySelector('#state').textContent === 'running' && since === null");
    // The next question comes by itself.
    let at = page.value("heard").as_f64().unwrap();
    page.wait_for(&format!("heard > {at}"));
    // A page that nobody sees asks nothing.
    page.value("Object.defineProperty(document, 'hidden', { value: true, configurable: true })");
    page.wait_for("!asking");
    page.value("window.before = heard; ask()");
    assert_eq!(page.value("asking"), false);
    page.value("delete document.hidden; ask()");
    page.wait_for("heard > before");
}

/// As wide as a screen and as a phone, light and dark.
fn shots(page: &mut Page, name: &str) {
    for (width, dark) in [(1280, false), (1280, true), (390, false), (390, true)] {
        let scheme = if dark { "dark" } else { "light" };
        page.screenshot(&format!("{name}-{width}-{scheme}"), (width, 900), dark);
    }
}

#[test]
fn the_page_is_for_browsers_that_ask_this_listener() {
    let [one, two, evil] = ["one", "two", "evil"].map(Mortal::saying);
    let stage = Stage::new(&config([&one, &two], &evil), 1);
    let ask = |request: &str, host: &str| {
        Conn::open(stage.proxy.admin()).ask(&format!("{request} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"))
    };
    let page = ask("GET /", "127.0.0.1");
    assert_eq!((page.status(), page.field("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.field("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    assert_eq!(ask("POST /", "127.0.0.1").field("allow"), Some("GET, HEAD"));
    assert_eq!(ask("GET /", "evil.example").status(), 421);
    assert_eq!(ask("GET /live.json", "evil.example").status(), 421);
    let live: Value = serde_json::from_slice(&ask("GET /live.json", "localhost").body).unwrap();
    assert_eq!(live["backends"].as_array().unwrap().len(), 3);
    assert_eq!(live["durations"]["upstreams"].as_array().unwrap().len(), 2);
    assert_eq!(live["configuration"]["last_reload_successful"], true);
}
