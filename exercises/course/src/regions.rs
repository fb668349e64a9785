//! The regions of a solution: what stands only there, and what a starter has in its place.
//!
//! ```text
//! // STARTER           what the starter has: lines that begin with //|
//! // SOLUTION          what the solution has
//! // END
//! ```

/// The starter of a solution: regions between `// SOLUTION` and `// END` left out, lines that begin with `//|` brought in.
pub(crate) fn starter(solution: &str) -> Result<String, String> {
    let mut starter = String::new();
    let mut region = "";
    for (at, line) in solution.lines().enumerate() {
        match (region, line.trim()) {
            ("" | "STARTER", "// SOLUTION") => region = "SOLUTION",
            ("", "// STARTER") => region = "STARTER",
            ("SOLUTION", "// END") => region = "",
            ("STARTER" | "SOLUTION", "// STARTER") | ("", "// END") => {
                return Err(format!("line {}: {} does not belong here", at + 1, line.trim()));
            }
            ("STARTER", text) => {
                let indent = &line[..line.len() - line.trim_start().len()];
                let Some(text) = text.strip_prefix("//|") else {
                    return Err(format!("line {}: a line of a starter begins with //|", at + 1));
                };
                let text = text.strip_prefix(' ').unwrap_or(text);
                starter += &format!("{}\n", format!("{indent}{text}").trim_end());
            }
            ("SOLUTION", _) => {}
            _ => starter += &format!("{line}\n"),
        }
    }
    if region.is_empty() { Ok(tidied(&starter)) } else { Err(format!("{region} has no // END")) }
}

/// Without the blank lines that regions leave behind: never two in a row.
fn tidied(text: &str) -> String {
    let mut tidy = String::new();
    for line in text.lines() {
        if !(line.is_empty() && tidy.ends_with("\n\n")) {
            tidy += &format!("{line}\n");
        }
    }
    tidy
}

/// The solution as it is read: without the markers, and without what only the starter has.
pub(crate) fn answer(solution: &str) -> Result<String, String> {
    // A solution whose regions do not add up is found here, too.
    starter(solution)?;
    let marker = |line: &&str| !matches!(line.trim(), "// STARTER" | "// SOLUTION" | "// END");
    let kept = solution.lines().filter(marker).filter(|line| !line.trim_start().starts_with("//|"));
    Ok(tidied(&kept.map(|line| format!("{line}\n")).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_starter_is_its_solution_without_the_answers() {
        let solution = "use a;\n// SOLUTION\nuse b;\n// END\n\nfn f() {\n    // STARTER\n    //| // TODO\n    //| g()\n    // SOLUTION\n    h()\n    // END\n}\n";
        assert_eq!(starter(solution).unwrap(), "use a;\n\nfn f() {\n    // TODO\n    g()\n}\n");
        assert!(starter("// SOLUTION\n").unwrap_err().contains("no // END"));
        assert!(starter("// END\n").unwrap_err().contains("line 1"));
        assert!(starter("// STARTER\nx\n// SOLUTION\n// END\n").unwrap_err().contains("line 2"));
    }

    #[test]
    fn an_answer_has_neither_markers_nor_lines_of_the_starter() {
        let solution = "fn f() {\n    // STARTER\n    //| todo\n    // SOLUTION\n    h()\n    // END\n}\n";
        assert_eq!(answer(solution).unwrap(), "fn f() {\n    h()\n}\n");
        assert!(answer("// SOLUTION\n").is_err());
    }
}
