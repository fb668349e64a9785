//! The page in a browser: two people, by keyboard alone.

use super::chat;
use crate::support::{
    browser::{Browser, Page, Setting},
    process::Process,
};
use serde_json::json;

fn log(page: &mut Page) -> Vec<String> {
    let log = page.value("[...document.querySelectorAll('#log li')].map(item => item.textContent)");
    log.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

fn person(browser: &Browser, chat: &Process, name: &str) -> Page {
    let mut page = Page::open(browser, &format!("http://{}/", chat.address()));
    page.wait_for("typeof me === 'string' && rooms.has('lobby')");
    page.wait_for("document.activeElement.id === 'text'");
    page.type_line(&format!("/nick {name}"));
    page.wait_for(&format!("me === '{name}'"));
    page
}

#[test]
fn two_people_in_a_browser_by_keyboard_alone() {
    let Some(browser) = Browser::open(Setting::default()) else { return };
    let chat = chat(&[]);
    let [mut ann, mut bob] = ["ann", "bob"].map(|name| person(&browser, &chat, name));
    // The style has passed the policy, and so has the script.
    assert_eq!(ann.value("getComputedStyle(document.body).display"), "flex");
    ann.wait_for("document.querySelector('#people').textContent.includes('bob')");

    const EVIL: &str = "<script>window.evil=1</script><img src=x onerror='window.evil=2'>";
    ann.type_line(EVIL);
    bob.wait_for("document.querySelector('#log').textContent.includes('window.evil=1')");
    assert!(log(&mut bob).iter().any(|line| line.ends_with(EVIL)), "{:?}", log(&mut bob));
    for page in [&mut ann, &mut bob] {
        assert_eq!(page.value("document.querySelectorAll('#log script, #log img').length + (window.evil ?? 0)"), 0);
    }
    ann.wait_for("waiting.length === 0");
    assert_eq!(
        log(&mut ann).iter().filter(|line| line.ends_with(EVIL)).count(),
        1,
        "one's own message once: {:?}",
        log(&mut ann)
    );

    move_between_rooms(&mut ann, &mut bob);

    // One person to another.
    ann.type_line("/msg bob psst <b>");
    bob.wait_for("rooms.get('@ann')?.lines.length === 1");

    // A connection breaks: all that was said meanwhile is there, once, in order.
    bob.value("socket.close()");
    for n in 1..=5 {
        ann.type_line(&format!("while away {n}"));
    }
    bob.wait_for("document.querySelector('#state').textContent === 'you are bob' && rooms.get('lobby').seen === 7");
    let away: Vec<String> = log(&mut bob).into_iter().filter(|line| line.contains("while away")).collect();
    assert!(away.iter().map(|line| line.chars().last().unwrap()).eq("12345".chars()), "{away:?}");

    // A reload: the same person, with all that the rooms have kept.
    ann.call("Page.reload", json!({}));
    ann.wait_for("typeof me === 'string' && me === 'ann' && rooms.get('lobby')?.seen === 7");
    assert_eq!(log(&mut ann).iter().filter(|line| line.contains("while away")).count(), 5, "{:?}", log(&mut ann));

    for (name, width, dark) in [
        ("chat-wide", 1100, false),
        ("chat-wide-dark", 1100, true),
        ("chat-narrow", 390, false),
        ("chat-narrow-dark", 390, true),
    ] {
        bob.screenshot(name, (width, 700), dark);
    }
    bob.value("document.querySelector('#lists').click()");
    bob.screenshot("chat-narrow-lists", (390, 700), false);
}

/// Another room, and back: by command, by shortcut, by Tab.
fn move_between_rooms(ann: &mut Page, bob: &mut Page) {
    bob.type_line("/join tea");
    bob.wait_for("current === 'tea'");
    ann.type_line("are you there?");
    bob.wait_for("rooms.get('lobby').unread === 1");
    bob.press("ArrowUp", 38, 1);
    bob.wait_for("current === 'lobby' && document.querySelector('#log').textContent.includes('are you there?')");
    let mut steps = 0;
    while bob.value("document.activeElement.textContent") != "#tea" {
        bob.press("Tab", 9, 8);
        steps += 1;
        assert!(steps < 20, "no way to the list of rooms");
    }
    bob.press("Enter", 13, 0);
    bob.wait_for("current === 'tea' && document.activeElement.id === 'text'");
    bob.press("ArrowDown", 40, 1);
}
