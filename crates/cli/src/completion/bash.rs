//! Bash: it breaks words at `=` and `:`, gives them as they stand on the line, quotes and all, and inserts what it is
//! given as it is. So its script puts the words together again, and quotes are read and written here.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use clap_complete::env::EnvCompleter;

use super::WORDS;

/// Where the script says which characters break words, and which word is completed.
const BREAKS: &str = "_CALLWRIGHT_WORD_BREAKS";
const INDEX: &str = "_CALLWRIGHT_WORD_INDEX";

/// Between the candidates.
const SEPARATOR: char = '\u{b}';

const SCRIPT: &str = r#"
_callwright_complete() {
    local IFS=$'\013' rest=${COMP_LINE:0:COMP_POINT} words=() index=-1 i
    for ((i = 0; i <= COMP_CWORD; i++)); do
        if [[ $i -eq 0 || $rest == [[:blank:]]* ]]; then
            index=$((index + 1))
            rest=${rest#"${rest%%[![:blank:]]*}"}
            words[index]=
        fi
        if [[ $i -eq $COMP_CWORD ]]; then
            words[index]+=$rest
        else
            words[index]+=${COMP_WORDS[i]}
            rest=${rest#"${COMP_WORDS[i]}"}
        fi
    done
    words+=("${COMP_WORDS[@]:COMP_CWORD + 1}")
    COMPREPLY=( $( \
        INDEX="$index" BREAKS="$COMP_WORDBREAKS" VAR="bash" "COMPLETER" -- "${words[@]}" \
    ) )
    if [[ $? != 0 ]]; then
        unset COMPREPLY
    elif [[ ! "${COMPREPLY-}" =~ [=/:]$ ]]; then
        compopt +o nospace 2> /dev/null
    fi
}
if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -o nospace -o bashdefault -o nosort -F _callwright_complete BIN
else
    complete -o nospace -o bashdefault -F _callwright_complete BIN
fi
"#;

/// Bash.
pub(super) struct Bash;

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        "bash"
    }

    fn is(&self, name: &str) -> bool {
        name == "bash"
    }

    fn write_registration(
        &self,
        var: &str,
        _name: &str,
        bin: &str,
        completer: &str,
        buf: &mut dyn io::Write,
    ) -> io::Result<()> {
        let script = SCRIPT
            .replace("INDEX=", &format!("{INDEX}="))
            .replace("BREAKS=", &format!("{BREAKS}="))
            .replace("VAR=", &format!("{var}="))
            .replace("COMPLETER", completer)
            .replace("BIN", bin);
        buf.write_all(script.as_bytes())
    }

    fn write_complete(
        &self,
        command: &mut clap::Command,
        words: Vec<OsString>,
        directory: Option<&Path>,
        buf: &mut dyn io::Write,
    ) -> io::Result<()> {
        let breaks = std::env::var(BREAKS).unwrap_or_default();
        let index = std::env::var(INDEX).ok().and_then(|index| index.parse().ok());
        let index = index.unwrap_or(words.len().saturating_sub(1));
        let words: Vec<Word> = words
            .iter()
            .map(|word| Word::read(&word.to_string_lossy(), &breaks))
            .collect();
        let plain: Vec<OsString> = words.iter().map(|word| OsString::from(&word.text)).collect();
        let _ = WORDS.set(plain.clone());
        let candidates = clap_complete::engine::complete(command, plain, index, directory)?;
        let written: Vec<String> = candidates
            .iter()
            .map(|candidate| candidate.get_value().to_string_lossy())
            .map(|value| {
                words
                    .get(index)
                    .map_or_else(|| value.to_string(), |word| word.completed(&value))
            })
            .collect();
        buf.write_all(written.join(&SEPARATOR.to_string()).as_bytes())
    }
}

/// A word of a command line.
#[derive(Debug, Default, PartialEq, Eq)]
struct Word {
    /// Without quotes.
    text: String,
    /// How many characters of the text bash keeps when it completes the word.
    kept: usize,
    /// The quote that is open at its end.
    quote: Option<char>,
}

impl Word {
    /// Reads a word as it stands on the line.
    fn read(raw: &str, breaks: &str) -> Word {
        let mut word = Word::default();
        let mut length = 0;
        let mut chars = raw.chars();
        while let Some(c) = chars.next() {
            match (word.quote, c) {
                (Some(quote), c) if c == quote => {
                    word.quote = None;
                    word.kept = length;
                    continue;
                }
                (None, '"' | '\'') => {
                    word.quote = Some(c);
                    word.kept = length;
                    continue;
                }
                (None, '\\') => word.text.extend(chars.next()),
                (Some('"'), '\\') => match chars.next() {
                    Some(next) if is_special_in_quotes(next) => word.text.push(next),
                    next => {
                        word.text.push('\\');
                        word.text.extend(next);
                    }
                },
                (_, c) => {
                    word.text.push(c);
                    if word.quote.is_none() && breaks.contains(c) {
                        word.kept = length + 1;
                    }
                }
            }
            length = word.text.chars().count();
        }
        word
    }

    /// What bash is to insert so that the word becomes `value`.
    fn completed(&self, value: &str) -> String {
        let rest = value.chars().skip(self.kept);
        let mut written = String::with_capacity(value.len());
        for c in rest {
            match self.quote {
                Some('"') if is_special_in_quotes(c) => written.extend(['\\', c]),
                Some('\'') if c == '\'' => written.push_str(r"'\''"),
                None if !(c.is_alphanumeric() || "_-.,:/@%+=".contains(c)) => written.extend(['\\', c]),
                Some(_) | None => written.push(c),
            }
        }
        written
    }
}

/// What a backslash takes its meaning from between double quotes.
fn is_special_in_quotes(c: char) -> bool {
    "\"\\$`".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BREAKS: &str = " \t\n\"'@><=;|&(:";

    fn completed(raw: &str, value: &str) -> String {
        Word::read(raw, BREAKS).completed(value)
    }

    #[test]
    fn a_name_with_spaces_is_one_word() {
        assert_eq!(completed("a", "a call (busy)"), r"a\ call\ \(busy\)");
        assert_eq!(completed(r"a\ c", "a call"), r"a\ call");
        assert_eq!(completed("code", "code_486"), "code_486");
    }

    #[test]
    fn what_stands_before_a_break_is_kept() {
        assert_eq!(completed("--tag=sl", "--tag=slow"), "slow");
        assert_eq!(completed("--tag=", "--tag=slow"), "slow");
        assert_eq!(completed("sip:a", "sip:a call"), r"a\ call");
        assert_eq!(completed(r"sip\:a", "sip:a call"), r"sip:a\ call");
    }

    #[test]
    fn an_open_quote_goes_on() {
        assert_eq!(completed("\"a c", "a call (busy)"), "a call (busy)");
        assert_eq!(completed("--scenario=\"a", "--scenario=a $1 call"), r"a \$1 call");
        assert_eq!(completed("'it", "it's"), r"it'\''s");
    }

    #[test]
    fn quotes_are_no_part_of_a_word() {
        for raw in [
            r"my\ calls/a.rhai",
            "\"my calls/a.rhai\"",
            "'my calls/a.rhai'",
            "my\" calls/\"a.rhai",
        ] {
            assert_eq!(Word::read(raw, BREAKS).text, "my calls/a.rhai", "{raw}");
        }
    }
}
