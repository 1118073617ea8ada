//! The table of crates in ARCHITECTURE.md, read as data: the one place that says which crate may use which,
//! and which of them do no IO.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

/// The header of the table, by which it is found.
const HEADER: [&str; 4] = ["crate", "uses", "IO", "what it is"];

/// The crates of the project, in the order of the table: a crate uses only crates above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrateTable {
    /// The rows, top down.
    pub rows: Vec<Row>,
}

/// One crate of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The folder in `crates/`; the package is `callwright-<name>`.
    pub name: String,
    /// What it may and must depend on.
    pub uses: Uses,
    /// Whether it may touch sockets, clocks, threads and files.
    pub io: bool,
}

/// The dependencies that the table grants to one crate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Uses {
    /// Exactly these.
    Exactly(Vec<String>),
    /// Any crate above it: the binary.
    Everything,
}

impl CrateTable {
    /// Reads the table of `ARCHITECTURE.md` in `root`.
    pub fn read(root: &Path) -> Result<Self> {
        let path = root.join("ARCHITECTURE.md");
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("in {}", path.display()))
    }

    /// Reads the table from the text of a Markdown file. A table that breaks its own rule, or none, is an error.
    pub fn parse(markdown: &str) -> Result<Self> {
        let mut lines = markdown.lines().skip_while(|line| cells(line) != HEADER);
        if lines.next().is_none() {
            bail!("no table with the columns {}", HEADER.join(" | "));
        }
        let rows = lines
            .skip(1) // the line of dashes
            .take_while(|line| line.starts_with('|'))
            .map(Row::parse)
            .collect::<Result<Vec<Row>>>()?;
        let table = Self { rows };
        table.must_be_layered()?;
        Ok(table)
    }

    /// The row of the crate in the folder `name`.
    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// Whether `used` stands above `user`.
    pub fn is_above(&self, used: &str, user: &str) -> bool {
        let position = |name: &str| self.rows.iter().position(|row| row.name == name);
        matches!((position(used), position(user)), (Some(used), Some(user)) if used < user)
    }

    fn must_be_layered(&self) -> Result<()> {
        for row in &self.rows {
            let Uses::Exactly(uses) = &row.uses else { continue };
            if let Some(used) = uses.iter().find(|used| !self.is_above(used, &row.name)) {
                bail!("`{}` uses `{used}`, which does not stand above it", row.name);
            }
        }
        Ok(())
    }
}

impl Row {
    fn parse(line: &str) -> Result<Self> {
        let cells = cells(line);
        let [name, uses, io, _what] = cells.as_slice() else {
            bail!("a row needs {} cells: {line}", HEADER.len());
        };
        let uses = match uses.as_str() {
            "everything" => Uses::Everything,
            "–" => Uses::Exactly(Vec::new()),
            list => Uses::Exactly(list.split(", ").map(str::to_owned).collect()),
        };
        let io = match io.as_str() {
            "–" => false,
            "yes" => true,
            other => bail!("the column IO of `{name}` says `{other}`: neither `yes` nor `–`"),
        };
        Ok(Self {
            name: name.clone(),
            uses,
            io,
        })
    }
}

fn cells(line: &str) -> Vec<String> {
    let Some(inner) = line
        .trim()
        .strip_prefix('|')
        .and_then(|rest| rest.strip_suffix('|'))
    else {
        return Vec::new();
    };
    inner
        .split('|')
        .map(|cell| cell.trim().replace('`', ""))
        .collect()
}
