//! Which topics cross a bridge, in which direction, and under which names there. Written as in `mosquitto.conf`:
//!
//! ```text
//!   sensors/# out 1            sensors/kitchen      ──▶  sensors/kitchen
//!   # in 2 central/ site-a/    central/alarm        ◀──  site-a/alarm
//! ```

use crate::mqtt::{Connect, Filter, Property, QoS, RetainHandling, Subscription, Text, Value, filter_matches, id};
use std::str::FromStr;

/// The name of the property by which brokers tell which bridges a message has crossed, one value for each.
const CROSSED: &str = "bridged-by";

/// The name of the property of a CONNECT by which a bridge says that it is one.
const BRIDGE: &str = "bridge";

/// Bridges that a message may cross. A chain of more brokers is a mistake.
const MAX_CROSSED: usize = 16;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    is_out: bool,
    is_in: bool,
    qos: QoS,
    /// Before the topic here, and before the topic there.
    local: String,
    remote: String,
    here: Filter,
    there: Filter,
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let word = |at: usize, default| words.get(at).copied().unwrap_or(default);
        if words.is_empty() || words.len() > 5 {
            return Err(format!("{text:?} is not PATTERN [out|in|both [QOS [LOCAL-PREFIX [REMOTE-PREFIX]]]]"));
        }
        let (is_out, is_in) = match word(1, "out") {
            "out" => (true, false),
            "in" => (false, true),
            "both" => (true, true),
            other => return Err(format!("the direction is out, in or both, not {other:?}")),
        };
        let qos = match word(2, "0") {
            "0" => QoS::AtMostOnce,
            "1" => QoS::AtLeastOnce,
            "2" => QoS::ExactlyOnce,
            other => return Err(format!("the QoS is 0, 1 or 2, not {other:?}")),
        };
        let prefix = |at| Some(word(at, "\"\"")).filter(|prefix| *prefix != "\"\"").unwrap_or_default().to_owned();
        let (local, remote) = (prefix(3), prefix(4));
        let filter = |prefix: &str| {
            let text = format!("{prefix}{}", words[0]);
            let good = Filter::new(text.as_str().into()).ok().filter(|filter| filter.shared().is_none());
            good.filter(|_| !prefix.contains(['+', '#'])).ok_or(format!("{text:?} is no topic filter"))
        };
        let (here, there) = (filter(&local)?, filter(&remote)?);
        Ok(Self { is_out, is_in, qos, local, remote, here, there })
    }
}

/// All lines of a bridge, and its own name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rules {
    id: Text,
    rules: Vec<Rule>,
}

impl Rules {
    pub(crate) fn new(id: &str, rules: Vec<Rule>) -> Self {
        Self { id: id.into(), rules }
    }

    /// The name that tells this bridge from all others.
    pub(crate) fn id(&self) -> &Text {
        &self.id
    }

    /// The word of a bridge about itself in its CONNECT (MQTT 5), so that a broker with a bridge of its own tells its messages where they were.
    pub(crate) fn introduction(&self) -> Value {
        Value::Pair(BRIDGE.into(), self.id.clone())
    }

    /// Whether a client has said that of itself.
    pub(crate) fn is_introduced(connect: &Connect) -> bool {
        let is_one = |property: &Property| matches!(&property.value, Value::Pair(name, _) if &**name == BRIDGE);
        connect.properties.0.iter().any(is_one)
    }

    /// The subscriptions that it has here, for topics that go out.
    pub(crate) fn here(&self) -> Vec<Subscription> {
        let out = self.rules.iter().filter(|rule| rule.is_out);
        out.map(|rule| subscription(&rule.here, rule.qos)).collect()
    }

    /// The subscriptions that it has there, for topics that come in.
    pub(crate) fn there(&self) -> Vec<Subscription> {
        let inward = self.rules.iter().filter(|rule| rule.is_in);
        inward.map(|rule| subscription(&rule.there, rule.qos)).collect()
    }

    /// The name that a topic has there. `None`: it does not go out.
    pub(crate) fn outward(&self, topic: &str) -> Option<Text> {
        let rule = self.rules.iter().find(|rule| rule.is_out && filter_matches(rule.here.plain(), topic))?;
        Some(renamed(topic, &rule.local, &rule.remote))
    }

    /// The name that a topic of there has here. `None`: it does not come in.
    pub(crate) fn inward(&self, topic: &str) -> Option<Text> {
        let rule = self.rules.iter().find(|rule| rule.is_in && filter_matches(rule.there.plain(), topic))?;
        Some(renamed(topic, &rule.remote, &rule.local))
    }
}

/// With the options that exclude an echo, and that keep the retain flag.
fn subscription(filter: &Filter, qos: QoS) -> Subscription {
    let (filter, no_local, retain_as_published) = (filter.clone(), true, true);
    Subscription { filter, qos, no_local, retain_as_published, retain_handling: RetainHandling::IfNew }
}

fn renamed(topic: &str, from: &str, to: &str) -> Text {
    // It matches a filter that begins so.
    let rest = topic.strip_prefix(from).unwrap_or(topic);
    format!("{to}{rest}").as_str().into()
}

/// The property by which a message tells that it has crossed this bridge.
pub(crate) fn crossed(id: &Text) -> Property {
    Property { id: id::USER_PROPERTY, value: Value::Pair(CROSSED.into(), id.clone()) }
}

/// Whether a message has gone in a circle: it has crossed this bridge before, or far too many.
pub(crate) fn is_lost(properties: &[Property], id: &Text) -> bool {
    let crossed = properties.iter().filter_map(|property| match &property.value {
        Value::Pair(name, value) if &**name == CROSSED => Some(value),
        _ => None,
    });
    let mut count = 0;
    crossed.inspect(|_| count += 1).any(|other| other == id) || count >= MAX_CROSSED
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(lines: &[&str]) -> Rules {
        Rules::new("a", lines.iter().map(|line| line.parse().unwrap()).collect())
    }

    #[test]
    fn a_line_says_what_mosquitto_says() {
        for (line, out, inward) in [
            ("x/#", Some(("x/#", 0)), None),
            ("x/# out 2", Some(("x/#", 2)), None),
            ("x in 1", None, Some(("x", 1))),
            ("+/x both 1 here/ there/", Some(("here/+/x", 1)), Some(("there/+/x", 1))),
            ("# both 0 \"\" there/", Some(("#", 0)), Some(("there/#", 0))),
        ] {
            let rules = rules(&[line]);
            let said = |all: Vec<Subscription>| all.first().map(|one| (one.filter.text().to_string(), one.qos as u8));
            let expected = |one: Option<(&str, u8)>| one.map(|(filter, qos)| (filter.to_owned(), qos));
            assert_eq!((said(rules.here()), said(rules.there())), (expected(out), expected(inward)), "{line}");
        }
        for line in ["", "x sideways", "x out 3", "x/#/y", "x out 0 +/", "x out 0 a b c", "$share/g/x in"] {
            assert!(line.parse::<Rule>().is_err(), "{line}");
        }
    }

    #[test]
    fn topics_are_renamed_by_the_first_line_that_matches() {
        let rules = rules(&["a/# out 0 here/ there/", "b/# both 0 \"\" far/", "# in 0 central/ site/"]);
        let text = |text: Option<Text>| text.map(|text| text.to_string());
        assert_eq!(text(rules.outward("here/a/x")).as_deref(), Some("there/a/x"));
        assert_eq!(text(rules.outward("b")).as_deref(), Some("far/b"));
        assert_eq!((text(rules.outward("a/x")), text(rules.outward("$SYS/b"))), (None, None));
        assert_eq!(text(rules.inward("far/b/y")).as_deref(), Some("b/y"));
        assert_eq!(text(rules.inward("site/alarm")).as_deref(), Some("central/alarm"));
        assert_eq!(text(rules.inward("there/a/x")), None);
    }

    #[test]
    fn a_message_that_comes_back_is_known() {
        let (a, b) = (Text::from("a"), Text::from("b"));
        assert!(!is_lost(&[], &a) && !is_lost(&[crossed(&b)], &a));
        assert!(is_lost(&[crossed(&b), crossed(&a)], &a));
        let some = |count| (0..count).map(|n| crossed(&Text::from(&*n.to_string()))).collect::<Vec<_>>();
        assert!(!is_lost(&some(MAX_CROSSED - 1), &a) && is_lost(&some(MAX_CROSSED), &a));
    }
}
