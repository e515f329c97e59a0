//! A unified diff of two texts, line by line.

/// Unchanged lines that are shown around changed ones.
const CONTEXT: usize = 3;

/// More lines than this are not aligned: the rest is shown as removed and added. Bounds the table of the alignment.
const MAX_LINES: usize = 3000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Both,
    Old,
    New,
}

/// The difference from `old` to `new`, with the names of both as a heading; `None` when they are equal.
pub fn unified(old_name: &str, old: &str, new_name: &str, new: &str) -> Option<String> {
    if old == new {
        return None;
    }
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let script = align(&old, &new);
    let mut text = format!("--- {old_name}\n+++ {new_name}\n");
    for hunk in hunks(&script) {
        let before = |side: Side| script[..hunk.start].iter().filter(|(s, _)| *s != side).count();
        let within = |side: Side| script[hunk.clone()].iter().filter(|(s, _)| *s != side).count();
        text += &format!(
            "@@ -{},{} +{},{} @@\n",
            before(Side::New) + 1,
            within(Side::New),
            before(Side::Old) + 1,
            within(Side::Old)
        );
        for (side, line) in &script[hunk] {
            let sign = match side {
                Side::Both => ' ',
                Side::Old => '-',
                Side::New => '+',
            };
            text += &format!("{sign}{line}\n");
        }
    }
    Some(text)
}

/// The lines of both texts in one order: a longest common subsequence, what is only old before what is only new.
fn align<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(Side, &'a str)> {
    let prefix = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&old[prefix..], &new[prefix..]);
    let suffix = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&old_rest[..old_rest.len() - suffix], &new_rest[..new_rest.len() - suffix]);
    let mut script: Vec<_> = old[..prefix].iter().map(|line| (Side::Both, *line)).collect();
    if old_rest.len().max(new_rest.len()) > MAX_LINES {
        script.extend(old_rest.iter().map(|line| (Side::Old, *line)));
        script.extend(new_rest.iter().map(|line| (Side::New, *line)));
    } else {
        align_middle(old_rest, new_rest, &mut script);
    }
    script.extend(old[old.len() - suffix..].iter().map(|line| (Side::Both, *line)));
    script
}

fn align_middle<'a>(old: &[&'a str], new: &[&'a str], script: &mut Vec<(Side, &'a str)>) {
    // common[i][j]: the length of the longest common subsequence of old[i..] and new[j..].
    let mut common = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            script.push((Side::Both, old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            script.push((Side::Old, old[i]));
            i += 1;
        } else {
            script.push((Side::New, new[j]));
            j += 1;
        }
    }
}

/// The stretches of the script that hold changes and their context.
fn hunks(script: &[(Side, &str)]) -> Vec<std::ops::Range<usize>> {
    let mut hunks: Vec<std::ops::Range<usize>> = vec![];
    for (index, _) in script.iter().enumerate().filter(|(_, (side, _))| *side != Side::Both) {
        let (start, end) = (index.saturating_sub(CONTEXT), (index + CONTEXT + 1).min(script.len()));
        match hunks.last_mut() {
            Some(last) if last.end >= start => last.end = end,
            _ => hunks.push(start..end),
        }
    }
    hunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_no_difference() {
        assert_eq!(unified("a", "x\ny\n", "b", "x\ny\n"), None);
    }

    #[test]
    fn a_changed_line_is_shown_with_its_context() {
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let new = old.replace('6', "six");
        let expected = "--- a\n+++ b\n@@ -3,7 +3,7 @@\n 3\n 4\n 5\n-6\n+six\n 7\n 8\n 9\n";
        assert_eq!(unified("a", old, "b", &new).as_deref(), Some(expected));
    }

    #[test]
    fn far_changes_are_hunks_of_their_own() {
        let old: String = (0..40).map(|n| format!("{n}\n")).collect();
        let new = old.replacen("2\n", "two\n", 1).replace("35\n", "");
        let diff = unified("a", &old, "b", &new).unwrap();
        assert_eq!(diff.matches("@@ -").count(), 2, "{diff}");
        assert!(diff.contains("-2\n+two\n") && diff.contains("-35\n"), "{diff}");
    }
}
