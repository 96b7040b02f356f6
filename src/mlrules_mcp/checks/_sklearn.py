"""Facts about scikit-learn 1.9 and the libraries that follow its ways: imbalanced-learn 0.14, XGBoost, LightGBM,
CatBoost,
category_encoders, feature_engine. Names that older releases had are kept: code that uses them is still about."""

from __future__ import annotations

import ast
from functools import lru_cache

from mlrules_mcp.source import Module
from mlrules_mcp.source.data_flow.values import Trade

SKLEARN = frozenset(
    "sklearn imblearn xgboost lightgbm catboost category_encoders feature_engine cuml sklearnex mlxtend".split()
)

# Transformers by what their `fit` learns from the data.
_STATISTICS = frozenset(
    "StandardScaler MinMaxScaler MaxAbsScaler RobustScaler PowerTransformer QuantileTransformer KBinsDiscretizer "
    "SplineTransformer KernelCenterer SimpleImputer IterativeImputer KNNImputer Imputer PCA IncrementalPCA KernelPCA "
    "SparsePCA MiniBatchSparsePCA TruncatedSVD FactorAnalysis FastICA NMF MiniBatchNMF LatentDirichletAllocation "
    "DictionaryLearning MiniBatchDictionaryLearning Isomap LocallyLinearEmbedding MDS ClassicalMDS TSNE "
    "SpectralEmbedding "
    "UMAP VarianceThreshold FeatureAgglomeration Nystroem BernoulliRBM RandomTreesEmbedding KNeighborsTransformer "
    "RadiusNeighborsTransformer TfidfTransformer TfidfVectorizer CountVectorizer RandomizedPCA Autofeat "
    "MeanMedianImputer EndTailImputer Winsorizer EqualFrequencyDiscretiser EqualWidthDiscretiser YeoJohnsonTransformer "
    "BoxCoxTransformer CountFrequencyEncoder CountEncoder SmartCorrelatedSelection DropCorrelatedFeatures".split()
)
_TARGET = frozenset(
    "SelectKBest SelectPercentile SelectFpr SelectFdr SelectFwe GenericUnivariateSelect SelectFromModel RFE RFECV "
    "SequentialFeatureSelector TargetEncoder NeighborhoodComponentsAnalysis CatBoostEncoder JamesSteinEncoder "
    "LeaveOneOutEncoder MEstimateEncoder WOEEncoder GLMMEncoder MeanEncoder WoEEncoder BorutaPy".split()
)
_VOCABULARY = frozenset(
    "LabelEncoder OrdinalEncoder OneHotEncoder LabelBinarizer MultiLabelBinarizer DictVectorizer MissingIndicator "
    "BinaryEncoder BaseNEncoder BackwardDifferenceEncoder HelmertEncoder SumEncoder PolynomialEncoder RareLabelEncoder "
    "Tokenizer TextVectorization CategoricalImputer RandomSampleImputer CategoricalEncoder".split()
)
_NOTHING = frozenset(
    "Normalizer Binarizer FunctionTransformer HashingVectorizer FeatureHasher PolynomialFeatures AdditiveChi2Sampler "
    "RBFSampler SkewedChi2Sampler PolynomialCountSketch GaussianRandomProjection SparseRandomProjection PatchExtractor "
    "SparseCoder HashingEncoder ArbitraryNumberImputer AddMissingIndicator DropFeatures LogTransformer "
    "PowerTransformer_ ReciprocalTransformer CyclicalFeatures".split()
)
RESAMPLERS = frozenset(
    "ADASYN RandomOverSampler KMeansSMOTE SMOTE BorderlineSMOTE SVMSMOTE SMOTENC SMOTEN SMOTEENN SMOTETomek".split()
)
UNDER_SAMPLERS = frozenset(
    "ClusterCentroids RandomUnderSampler InstanceHardnessThreshold NearMiss TomekLinks EditedNearestNeighbours "
    "RepeatedEditedNearestNeighbours AllKNN OneSidedSelection CondensedNearestNeighbour "
    "NeighbourhoodCleaningRule".split()
)
_CLUSTERS = frozenset(
    "KMeans MiniBatchKMeans BisectingKMeans AffinityPropagation AgglomerativeClustering Birch DBSCAN HDBSCAN "
    "MeanShift OPTICS "
    "SpectralClustering SpectralBiclustering SpectralCoclustering GaussianMixture BayesianGaussianMixture GMM "
    "KernelDensity "
    "IsolationForest LocalOutlierFactor OneClassSVM SGDOneClassSVM EllipticEnvelope NearestNeighbors "
    "EmpiricalCovariance "
    "GraphicalLasso GraphicalLassoCV LedoitWolf MinCovDet OAS ShrunkCovariance KModes KPrototypes".split()
)
CLASSIFIERS = frozenset(
    "AdaBoostClassifier BaggingClassifier BernoulliNB CalibratedClassifierCV CategoricalNB ClassifierChain "
    "ComplementNB "
    "DecisionTreeClassifier DummyClassifier ExtraTreeClassifier ExtraTreesClassifier FixedThresholdClassifier "
    "GaussianNB "
    "GaussianProcessClassifier GradientBoostingClassifier HistGradientBoostingClassifier KNeighborsClassifier "
    "LabelPropagation LabelSpreading LinearDiscriminantAnalysis LinearSVC LogisticRegression LogisticRegressionCV "
    "MLPClassifier MultiOutputClassifier MultinomialNB NearestCentroid NuSVC OneVsOneClassifier OneVsRestClassifier "
    "OutputCodeClassifier PassiveAggressiveClassifier Perceptron QuadraticDiscriminantAnalysis "
    "RadiusNeighborsClassifier "
    "RandomForestClassifier RidgeClassifier RidgeClassifierCV SGDClassifier SVC SelfTrainingClassifier "
    "StackingClassifier "
    "TunedThresholdClassifierCV VotingClassifier XGBClassifier XGBRFClassifier LGBMClassifier CatBoostClassifier "
    "BalancedBaggingClassifier BalancedRandomForestClassifier EasyEnsembleClassifier RUSBoostClassifier "
    "EnsembleVoteClassifier StackingCVClassifier LDA QDA".split()
)
REGRESSORS = frozenset(
    "ARDRegression AdaBoostRegressor BaggingRegressor BayesianRidge CCA DecisionTreeRegressor DummyRegressor "
    "ElasticNet "
    "ElasticNetCV ExtraTreeRegressor ExtraTreesRegressor GammaRegressor GaussianProcessRegressor "
    "GradientBoostingRegressor "
    "HistGradientBoostingRegressor HuberRegressor IsotonicRegression KNeighborsRegressor KernelRidge Lars LarsCV "
    "Lasso LassoCV "
    "LassoLars LassoLarsCV LassoLarsIC LinearRegression LinearSVR MLPRegressor MultiOutputRegressor "
    "MultiTaskElasticNet "
    "MultiTaskElasticNetCV MultiTaskLasso MultiTaskLassoCV NuSVR OrthogonalMatchingPursuit OrthogonalMatchingPursuitCV "
    "PLSCanonical PLSRegression PLSSVD PassiveAggressiveRegressor PoissonRegressor QuantileRegressor RANSACRegressor "
    "RadiusNeighborsRegressor RandomForestRegressor RegressorChain Ridge RidgeCV SGDRegressor SVR StackingRegressor "
    "TheilSenRegressor TransformedTargetRegressor TweedieRegressor VotingRegressor XGBRegressor XGBRFRegressor "
    "LGBMRegressor CatBoostRegressor StackingCVRegressor".split()
)
SEARCHES = frozenset(
    "GridSearchCV RandomizedSearchCV HalvingGridSearchCV HalvingRandomSearchCV BayesSearchCV OptunaSearchCV "
    "TuneSearchCV "
    "TuneGridSearchCV EvolutionAlgorithmSearchCV GASearchCV DaskGridSearchCV".split()
)
SPLITTERS = frozenset(
    "GroupKFold GroupShuffleSplit KFold LeaveOneGroupOut LeaveOneOut LeavePGroupsOut LeavePOut PredefinedSplit "
    "RepeatedKFold "
    "RepeatedStratifiedKFold ShuffleSplit StratifiedGroupKFold StratifiedKFold StratifiedShuffleSplit TimeSeriesSplit "
    "RepeatedGroupKFold RepeatedMultilabelStratifiedKFold MultilabelStratifiedKFold PurgedKFold "
    "StratifiedGroupShuffleSplit".split()
)
# Splitters that give one split, or a few: a holdout, not folds.
HOLDOUT_SPLITTERS = frozenset({"ShuffleSplit", "StratifiedShuffleSplit", "GroupShuffleSplit", "PredefinedSplit"})
VALIDATIONS = frozenset(
    "cross_val_score cross_validate cross_val_predict learning_curve validation_curve permutation_test_score "
    "bootstrap_point632_score".split()
)
_SCALING = frozenset(
    "normalize scale minmax_scale maxabs_scale robust_scale power_transform quantile_transform zscore".split()
)
_METRICS = frozenset(
    "accuracy_score auc average_precision_score balanced_accuracy_score brier_score_loss class_likelihood_ratios "
    "classification_report cohen_kappa_score confusion_matrix d2_absolute_error_score d2_pinball_score "
    "d2_tweedie_score "
    "d2_log_loss_score d2_brier_score explained_variance_score f1_score fbeta_score hamming_loss hinge_loss "
    "jaccard_score "
    "log_loss matthews_corrcoef max_error mean_absolute_error mean_absolute_percentage_error mean_gamma_deviance "
    "mean_pinball_loss mean_poisson_deviance mean_squared_error mean_squared_log_error mean_tweedie_deviance "
    "median_absolute_error multilabel_confusion_matrix ndcg_score dcg_score precision_recall_curve "
    "precision_recall_fscore_support precision_score r2_score recall_score roc_auc_score roc_curve "
    "root_mean_squared_error root_mean_squared_log_error top_k_accuracy_score zero_one_loss det_curve "
    "jaccard_similarity_score label_ranking_average_precision_score classification_report_imbalanced "
    "geometric_mean_score "
    "sensitivity_score specificity_score".split()
)

_PACKAGES = (
    "sklearn.",
    "imblearn.",
    "xgboost.",
    "lightgbm.",
    "catboost.",
    "category_encoders.",
    "feature_engine.",
    "cuml.",
)
_OTHER_PACKAGES = (
    "mlxtend.",
    "umap.",
    "kmodes.",
    "iterstrat.",
    "skopt.",
    "boruta.",
    "scipy.stats.",
    "dask_ml.",
    "sklearnex.",
)
_NETWORKS = ("keras.", "tensorflow.", "tensorflow.keras.", "torch.nn.", "skorch.", "pytorch_tabnet.")

TRADES: dict[str, Trade] = {
    **dict.fromkeys(_STATISTICS, Trade("transformer", "statistics")),
    **dict.fromkeys(_TARGET, Trade("transformer", "target")),
    **dict.fromkeys(_VOCABULARY, Trade("transformer", "vocabulary")),
    **dict.fromkeys(_NOTHING, Trade("transformer", "nothing")),
    **dict.fromkeys(RESAMPLERS, Trade("resampler", "rows")),
    **dict.fromkeys(UNDER_SAMPLERS, Trade("resampler", "nothing")),
    **dict.fromkeys(_CLUSTERS, Trade("cluster", "statistics")),
    **dict.fromkeys(CLASSIFIERS | REGRESSORS, Trade("predictor", "target")),
    **dict.fromkeys(SEARCHES, Trade("search", "target")),
    **dict.fromkeys(SPLITTERS, Trade("splitter", "nothing")),
    **dict.fromkeys(("Pipeline", "make_pipeline"), Trade("pipeline")),
    **dict.fromkeys(
        ("ColumnTransformer", "make_column_transformer", "FeatureUnion", "make_union", "DataFrameMapper"),
        Trade("columns"),
    ),
    "train_test_split": Trade("split"),
    **dict.fromkeys(VALIDATIONS, Trade("cross-validation")),
    **dict.fromkeys(_METRICS, Trade("metric")),
    **dict.fromkeys(_SCALING, Trade("scaling")),
    "resample": Trade("resample"),
    "clone": Trade("clone"),
}


@lru_cache(maxsize=4096)
def trade(name: str) -> Trade | None:
    """What a class or function does, by its qualified name, or by its bare name where nothing shows where it is
    from.
    """
    package, _, last = name.rpartition(".")
    if not package:
        return TRADES.get(last) if last[:1].isupper() or last == "train_test_split" else None
    if name.startswith(_PACKAGES):
        if package.startswith("sklearn.datasets"):
            return Trade("dataset") if last.startswith(("load_", "fetch_", "make_")) else None
        return TRADES.get(last)
    if name.startswith(_OTHER_PACKAGES) or last in SEARCHES:
        return TRADES.get(last)
    if name.startswith(_NETWORKS):
        if last in ("Tokenizer", "TextVectorization"):
            return TRADES[last]
        if last in ("Sequential", "Model"):
            return Trade("network", "target")
        if last == "load_data":
            return Trade("dataset")
    return None


# What is random unless it gets a `random_state`, whatever else it gets (scikit-learn 1.9, imbalanced-learn 0.14).
RANDOM = frozenset(
    "train_test_split ShuffleSplit StratifiedShuffleSplit GroupShuffleSplit RepeatedKFold RepeatedStratifiedKFold "
    "RandomizedSearchCV HalvingRandomSearchCV RandomForestClassifier RandomForestRegressor ExtraTreesClassifier "
    "ExtraTreesRegressor ExtraTreeClassifier ExtraTreeRegressor DecisionTreeClassifier DecisionTreeRegressor "
    "GradientBoostingClassifier GradientBoostingRegressor AdaBoostClassifier AdaBoostRegressor BaggingClassifier "
    "BaggingRegressor MLPClassifier MLPRegressor SGDClassifier SGDRegressor SGDOneClassSVM Perceptron "
    "PassiveAggressiveClassifier PassiveAggressiveRegressor KMeans MiniBatchKMeans BisectingKMeans GaussianMixture "
    "BayesianGaussianMixture SpectralClustering SpectralBiclustering SpectralCoclustering LatentDirichletAllocation "
    "TruncatedSVD TSNE MDS FastICA FactorAnalysis SparsePCA MiniBatchSparsePCA DictionaryLearning "
    "MiniBatchDictionaryLearning NMF MiniBatchNMF IsolationForest RandomTreesEmbedding RBFSampler Nystroem "
    "SkewedChi2Sampler PolynomialCountSketch GaussianRandomProjection SparseRandomProjection RANSACRegressor "
    "TheilSenRegressor MinCovDet EllipticEnvelope BernoulliRBM NeighborhoodComponentsAnalysis resample shuffle "
    "permutation_importance UMAP ADASYN RandomOverSampler KMeansSMOTE SMOTE BorderlineSMOTE SVMSMOTE SMOTENC SMOTEN "
    "SMOTEENN "
    "SMOTETomek ClusterCentroids RandomUnderSampler InstanceHardnessThreshold OneSidedSelection "
    "CondensedNearestNeighbour "
    "BalancedBaggingClassifier BalancedRandomForestClassifier EasyEnsembleClassifier RUSBoostClassifier "
    "make_biclusters "
    "make_blobs make_checkerboard make_circles make_classification make_friedman1 make_friedman2 make_friedman3 "
    "make_gaussian_quantiles make_hastie_10_2 make_low_rank_matrix make_moons make_multilabel_classification "
    "make_regression "
    "make_s_curve make_sparse_coded_signal make_sparse_spd_matrix make_sparse_uncorrelated make_spd_matrix "
    "make_swiss_roll".split()
)
# What is random with some value of an argument only.
RANDOM_WITH: dict[str, tuple[str, frozenset[object]]] = {
    **dict.fromkeys(("KFold", "StratifiedKFold", "StratifiedGroupKFold"), ("shuffle", frozenset({True}))),
    **dict.fromkeys(("SVC", "NuSVC"), ("probability", frozenset({True}))),
    "LogisticRegression": ("solver", frozenset({"sag", "saga"})),
    **dict.fromkeys(("Ridge", "RidgeClassifier"), ("solver", frozenset({"sag", "saga"}))),
    **dict.fromkeys(
        ("Lasso", "ElasticNet", "LassoCV", "ElasticNetCV", "MultiTaskLasso", "MultiTaskElasticNet"),
        ("selection", frozenset({"random"})),
    ),
    "PCA": ("svd_solver", frozenset({"randomized", "arpack"})),
    "KernelPCA": ("eigen_solver", frozenset({"randomized", "arpack"})),
    "DummyClassifier": ("strategy", frozenset({"stratified", "uniform"})),
    **dict.fromkeys(
        ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"), ("early_stopping", frozenset({True}))
    ),
    "LinearSVC": ("dual", frozenset({True})),
    "ClassifierChain": ("order", frozenset({"random"})),
    "RegressorChain": ("order", frozenset({"random"})),
}
# Models whose results depend much on hyperparameters that have no good default for every data set.
TUNABLE = frozenset(
    "RandomForestClassifier RandomForestRegressor ExtraTreesClassifier ExtraTreesRegressor GradientBoostingClassifier "
    "GradientBoostingRegressor HistGradientBoostingClassifier HistGradientBoostingRegressor AdaBoostClassifier "
    "AdaBoostRegressor DecisionTreeClassifier DecisionTreeRegressor SVC SVR NuSVC NuSVR KNeighborsClassifier "
    "KNeighborsRegressor MLPClassifier MLPRegressor Lasso Ridge ElasticNet XGBClassifier XGBRegressor LGBMClassifier "
    "LGBMRegressor CatBoostClassifier CatBoostRegressor".split()
)
# Arguments that say how a model is fitted, not what it is.
NOT_TUNING = frozenset(
    "random_state seed n_jobs verbose verbosity silent probability max_iter oob_score warm_start tol cache_size "
    "eval_metric "
    "use_label_encoder objective logging_level class_weight copy_X random_seed thread_count".split()
)
SEARCHING_PACKAGES = frozenset(
    "optuna hyperopt ray skopt tune_sklearn sigopt flaml tpot autosklearn pycaret nni ax bayes_opt".split()
)
DEEP_LEARNING = frozenset("torch tensorflow keras lightning pytorch_lightning fastai mxnet jax flax paddle".split())


def class_name(module: Module, call: ast.Call) -> str | None:
    """The name of the class or function of these libraries that a call calls; None for anything else."""
    name = module.qualified_name(call.func)
    if name is None and isinstance(call.func, ast.Name) and not module.bindings_in_scope(call.func):
        name = call.func.id
    if name is None or not (name.startswith(_PACKAGES + _OTHER_PACKAGES) or "." not in name):
        return None
    return name.rpartition(".")[2]
