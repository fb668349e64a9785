//! A configuration as one file: what counts, with the defaults as comments.

use super::{
    Settings,
    flags::Flags,
    keys::{GLOBAL, Key, UPSTREAM},
    listens::Tls,
    shown::{quoted, quoted_as_written},
    sites::Site,
    upstreams::{Server, Upstream},
};
use crate::proxy::{Route, TEXT, Target};
use std::fmt::Write as _;

impl Settings {
    /// All of it, as a file that means the same. A value from the environment stands as `${NAME}`, and a value that may hold a
    /// password is hidden.
    #[must_use]
    pub fn print(&self) -> String {
        let mut out = String::new();
        for time in &self.times {
            let comment = if time.is_default { "# " } else { "" };
            line(&mut out, format_args!("{comment}{} = {}", time.name, quoted(&time.text)));
        }
        keys(&mut out, &self.flags, GLOBAL, "");
        for listen in &self.listens {
            let tls = match listen.tls {
                Tls::Off => "false",
                Tls::On => "true",
                Tls::SelfSigned => "\"self-signed\"",
            };
            line(&mut out, format_args!("\n[[listen]]\naddress = \"{}\"\ntls = {tls}", listen.address));
            if listen.proxy_protocol.is_some() {
                line(&mut out, format_args!("proxy-protocol = true"));
            }
        }
        self.sites.iter().for_each(|site| self.site(&mut out, site));
        self.upstreams.iter().for_each(|upstream| upstream_table(&mut out, upstream));
        out
    }

    fn site(&self, out: &mut String, Site { site, policies, certificate, .. }: &Site) {
        line(out, format_args!("\n[[site]]\nname = {}\nhosts = {}", quoted(&site.name), list(&site.hosts)));
        if site.default {
            line(out, format_args!("default = true"));
        }
        if let Some(files) = certificate {
            let (chain, key) = (files.chain.display().to_string(), files.key.display().to_string());
            line(out, format_args!("certificate = {}\nkey = {}", quoted(&chain), quoted(&key)));
        }
        for (route, policy) in site.routes.iter().zip(policies) {
            line(out, format_args!("\n[[site.route]]\npath = {}\n{}", quoted(&route.path), self.target(route)));
            policy.shown().iter().for_each(|(key, value)| line(out, format_args!("{key} = {value}")));
        }
    }

    /// The target of a route, as its key and value.
    pub(super) fn target(&self, route: &Route) -> String {
        match &route.to {
            Target::Group(id) => {
                let name = self.upstreams.get(usize::from(id.0)).map_or("-", |upstream| upstream.name.as_str());
                format!("upstream = {}", quoted(name))
            }
            Target::Redirect { status, to } => {
                let fixed = if to.is_fixed() { ", keep-path = false" } else { "" };
                format!("redirect = {{ to = {}, status = {}{fixed} }}", quoted(&to.to_string()), status.code())
            }
            Target::Respond { status, content_type, body } => {
                let other = &**content_type != TEXT;
                let content_type = if other { format!(", type = {}", quoted(content_type)) } else { String::new() };
                format!("respond = {{ status = {}, body = {}{content_type} }}", status.code(), quoted(body))
            }
        }
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{text}");
}

fn list(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
}

/// The keys of a table and of those in it, which are called `prefix` and their own names.
fn keys(out: &mut String, flags: &Flags, keys: &[Key], prefix: &str) {
    let mut section = "";
    for key in keys {
        if key.section != section {
            section = key.section;
            line(out, format_args!("\n[{prefix}{section}]"));
        }
        let shown = flags.shown(key);
        match shown.values.is_empty() {
            true if shown.is_default => {}
            _ if shown.is_default => line(out, format_args!("# {} = {}", key.name, shown.in_file())),
            _ => line(out, format_args!("{} = {}", key.name, shown.in_file())),
        }
    }
}

fn upstream_table(out: &mut String, upstream: &Upstream) {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let bare = !upstream.name.is_empty() && upstream.name.chars().all(is_bare);
    let name = if bare { upstream.name.clone() } else { quoted_as_written(&upstream.name) };
    line(out, format_args!("\n[upstream.{name}]\nservers = ["));
    upstream.servers.iter().for_each(|server| line(out, format_args!("    {},", server_text(server))));
    line(out, format_args!("]"));
    keys(out, &upstream.flags, UPSTREAM, &format!("upstream.{name}."));
}

fn server_text(server: &Server) -> String {
    let mut text = format!("{{ address = {}", quoted(&server.address));
    if server.spec.weight != 1 {
        text += &format!(", weight = {}", server.spec.weight);
    }
    if let Some(max) = server.spec.max {
        text += &format!(", max = {max}");
    }
    if let Some(name) = &server.name {
        text += &format!(", name = {}", quoted(name));
    }
    text + " }"
}
