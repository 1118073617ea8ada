//! The formula of Erlang for calls that wait (Erlang C), and what an interval around a mean says.

/// The probability that a call has to wait: `agents` in all, `load` in Erlang.
pub(crate) fn waiting_probability(agents: u32, load: f64) -> f64 {
    // Erlang B by its recursion, from which C follows.
    let blocked = (1..=agents).fold(1.0, |blocked, n| load * blocked / (f64::from(n) + load * blocked));
    let agents = f64::from(agents);
    agents * blocked / (agents - load * (1.0 - blocked))
}

/// How long a call waits in the mean, those included that do not wait; in units of `talk`, the mean talk time.
pub(crate) fn mean_wait(agents: u32, load: f64, talk: f64) -> f64 {
    waiting_probability(agents, load) * talk / (f64::from(agents) - load)
}

/// A mean and the half width of its 99 % interval by Student's t over independent values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interval {
    pub(crate) mean: f64,
    pub(crate) half: f64,
}

impl Interval {
    pub(crate) fn of(values: &[f64]) -> Interval {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let square = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
        Interval {
            mean,
            half: t_99(values.len() - 1) * (square / count).sqrt(),
        }
    }

    pub(crate) fn holds(&self, value: f64) -> bool {
        (value - self.mean).abs() <= self.half
    }
}

/// The 0.995 quantile of Student's t, for some degrees of freedom.
fn t_99(freedom: usize) -> f64 {
    match freedom {
        0..=2 => 9.925,
        3 => 5.841,
        4 => 4.604,
        5 => 4.032,
        6 => 3.707,
        7 => 3.499,
        8 => 3.355,
        9 => 3.250,
        10..=14 => 3.169,
        15..=19 => 2.947,
        20..=28 => 2.845,
        29 => 2.756,
        _ => 2.750,
    }
}

#[test]
fn erlang_c_is_as_its_tables_say() {
    // One server: the probability is the load. Ten servers at eight Erlang: 0.4092, a value of the printed tables.
    assert!((waiting_probability(1, 0.5) - 0.5).abs() < 1e-12);
    assert!((waiting_probability(10, 8.0) - 0.4092).abs() < 1e-4);
    assert!((mean_wait(1, 0.5, 1.0) - 1.0).abs() < 1e-12);
}
