//! File descriptors: as many as the system gives, and no more connections than they suffice for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For the store, the journal above all, the other listeners and the runtimes: whoever floods
/// the public listener must not keep a revocation from being written.
const RESERVED: u64 = 512;

/// Its socket, and the file it downloads.
const PER_CONNECTION: u64 = 2;

/// Raises this process's limit of descriptors to the highest it may set, and gives how many
/// connections, at most `wanted`, are sure to have theirs.
#[must_use]
pub fn connections_that_fit(wanted: usize) -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    let limit = if raised { maximum } else { current };
    let fit = fitting(wanted, limit);
    if fit < wanted {
        let limit = limit.unwrap_or_default();
        let needed = u64::try_from(wanted).unwrap_or(u64::MAX).saturating_mul(PER_CONNECTION) + RESERVED;
        tracing::warn!(
            connections = fit,
            wanted,
            limit,
            "fewer connections than public.connections_max: raise the limit of open files to {needed}"
        );
    }
    fit
}

fn fitting(wanted: usize, limit: Option<u64>) -> usize {
    // No limit at all is none.
    let Some(limit) = limit else { return wanted };
    let fit = limit.saturating_sub(RESERVED) / PER_CONNECTION;
    wanted.min(usize::try_from(fit).unwrap_or(usize::MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_has_its_socket_and_a_file() {
        assert_eq!(fitting(20_000, None), 20_000);
        assert_eq!(fitting(20_000, Some(1_048_576)), 20_000);
        assert_eq!(fitting(20_000, Some(40_512)), 20_000);
        assert_eq!(fitting(20_000, Some(40_510)), 19_999);
        assert_eq!(fitting(20_000, Some(1024)), 256);
        assert_eq!(fitting(20_000, Some(100)), 1);
    }

    #[test]
    fn the_limit_is_raised_to_what_it_may_be() {
        let _ = connections_that_fit(1);
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(current, maximum);
    }
}
